import { Housekeeper, type HousekeepingReport, type Pool } from '#libs/postgres';
import { Counter, Gauge, type Logger, type Registry } from '#libs/service';
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
  private readonly runs: Counter<'result'>;
  private readonly deleted: Counter<'table'>;
  private readonly dropped: Counter;
  private readonly lastRun: Gauge;

  constructor(pool: Pool, private readonly history: History, registry: Registry, private readonly logger: Logger) {
    const registers = [registry];
    this.runs = new Counter({ name: 'concordat_housekeeping_runs_total', help: 'done; elsewhere: another instance was at it; failed', labelNames: ['result'], registers });
    this.deleted = new Counter({ name: 'concordat_housekeeping_rows_deleted_total', help: 'Old rows deleted one by one', labelNames: ['table'], registers });
    this.dropped = new Counter({ name: 'concordat_housekeeping_partitions_dropped_total', help: 'Partitions of finished transactions dropped', registers });
    this.lastRun = new Gauge({ name: 'concordat_housekeeping_last_run_timestamp_seconds', help: 'When this instance last kept house, since the epoch', registers });
    this.housekeeper = new Housekeeper(pool, {
      role: 'coordinator', keepMs: history.hours * HOUR_MS, partitionMs: Math.ceil(history.partitionHours * HOUR_MS),
      onRun: (report) => this.ran(report), onError: (error) => this.failed(error),
    });
  }

  start(): void {
    this.housekeeper.start(this.history.everyMs);
  }

  /** Resolves when a run that is under way has ended, which it does after its next batch. */
  stop(): Promise<void> {
    return this.housekeeper.stop();
  }

  ran(report: HousekeepingReport): void {
    this.runs.inc({ result: report.ran ? 'done' : 'elsewhere' });
    if (!report.ran) return;
    const nowMs = Date.now();
    this.lastRun.set(nowMs / 1000);
    this.dropped.inc(report.dropped.length);
    for (const [table, rows] of Object.entries(report.deleted)) this.deleted.inc({ table }, rows);
    this.last = {
      at: new Date(nowMs).toISOString(),
      partitionsCreated: report.created.length, partitionsDropped: report.dropped.length, partitionsKept: report.kept.length,
      partitionsPostponed: report.postponed.length, rowsDeleted: report.deleted, unfinished: report.unfinished,
    };
    if (report.unfinished.length > 0) this.logger.warn({ txids: report.unfinished }, 'transactions that are old enough to go have not ended; their partitions stay');
  }

  failed(error: unknown): void {
    this.runs.inc({ result: 'failed' });
    this.logger.warn({ err: error }, 'housekeeping failed; it is tried again later');
  }
}
