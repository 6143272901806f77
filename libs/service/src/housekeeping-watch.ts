import { Counter, Gauge, type Registry } from 'prom-client';
import type { Logger } from './logger.js';

/** What a run of a housekeeper has done, as far as operators watch it. */
export interface WatchedRun {
  /** False: another instance was at it. */
  readonly ran: boolean;
  readonly dropped: { readonly length: number };
  /** Rows that were deleted one by one, by table. */
  readonly deleted: Readonly<Record<string, number>>;
  /** Txids of what should be gone and has not ended. */
  readonly unfinished: readonly string[];
}

/** Housekeeping in metrics and logs, alike in every service. */
export class HousekeepingWatch {
  private readonly runs: Counter<'result'>;
  private readonly deleted: Counter<'table'>;
  private readonly dropped: Counter;
  private readonly lastRun: Gauge;

  /** @param words of a service: what its partitions hold, and what to say when some of it has not ended */
  constructor(registry: Registry, private readonly logger: Logger, private readonly words: { readonly contents: string; readonly unfinished: string }) {
    const registers = [registry];
    this.runs = new Counter({ name: 'concordat_housekeeping_runs_total', help: 'done; elsewhere: another instance was at it; failed', labelNames: ['result'], registers });
    this.deleted = new Counter({ name: 'concordat_housekeeping_rows_deleted_total', help: 'Old rows deleted one by one', labelNames: ['table'], registers });
    this.dropped = new Counter({ name: 'concordat_housekeeping_partitions_dropped_total', help: `Partitions of ${words.contents} dropped`, registers });
    this.lastRun = new Gauge({ name: 'concordat_housekeeping_last_run_timestamp_seconds', help: 'When this instance last kept house, since the epoch', registers });
  }

  ran({ ran, dropped, deleted, unfinished }: WatchedRun): void {
    this.runs.inc({ result: ran ? 'done' : 'elsewhere' });
    if (!ran) return;
    this.lastRun.setToCurrentTime();
    this.dropped.inc(dropped.length);
    for (const [table, rows] of Object.entries(deleted)) this.deleted.inc({ table }, rows);
    if (unfinished.length > 0) this.logger.warn({ txids: unfinished }, this.words.unfinished);
  }

  failed(error: unknown): void {
    this.runs.inc({ result: 'failed' });
    this.logger.warn({ err: error }, 'housekeeping failed; it is tried again later');
  }
}
