import { Housekeeper, type HousekeepingReport, type Pool } from '#libs/postgres';
import { HousekeepingWatch, type Logger, type Registry } from '#libs/service';
import type { History } from './config.js';

const HOUR_MS = 3_600_000;

/** What came of a run, as GET /v1/stats shows it. */
export interface LastRun {
  readonly at: string;
  readonly partitionsCreated: number;
  readonly partitionsDropped: number;
  /** Old, but with something unfinished, or ended lately, in them. */
  readonly partitionsKept: number;
  /** The tables were in use: the next run tries again. */
  readonly partitionsPostponed: number;
  readonly rowsDeleted: Readonly<Record<string, number>>;
  /** The oldest transactions that should be gone and have not ended: at most 10. */
  readonly unfinished: readonly string[];
}

/** Lets finished transactions leave in time. All instances look, one at a time works. */
export class Housekeeping {
  /** Of this instance; null before the first. */
  last: LastRun | null = null;
  private readonly housekeeper: Pick<Housekeeper, 'start' | 'stop'>;
  private readonly watch: HousekeepingWatch;

  constructor(pool: Pool, private readonly history: History, registry: Registry, logger: Logger) {
    this.watch = new HousekeepingWatch(registry, logger, {
      contents: 'finished transactions', unfinished: 'transactions that are old enough to go have not ended; their partitions stay',
    });
    this.housekeeper = new Housekeeper(pool, {
      role: 'coordinator', keepMs: history.hours * HOUR_MS, partitionMs: Math.ceil(history.partitionHours * HOUR_MS),
      onRun: (report) => this.ran(report), onError: (error) => this.watch.failed(error),
    });
  }

  start(): void {
    this.housekeeper.start(this.history.everyMs);
  }

  /** Resolves when a run that is under way has ended, which it does after its next batch. */
  stop(): Promise<void> {
    return this.housekeeper.stop();
  }

  private ran(report: HousekeepingReport): void {
    this.watch.ran(report);
    if (!report.ran) return;
    this.last = {
      at: new Date().toISOString(),
      partitionsCreated: report.created.length, partitionsDropped: report.dropped.length, partitionsKept: report.kept.length,
      partitionsPostponed: report.postponed.length, rowsDeleted: report.deleted, unfinished: report.unfinished,
    };
  }
}
