import type { PoolClient } from 'pg';
import type { Txid } from '#libs/protocol';
import { COORDINATOR } from './housekeeping/coordinator.js';
import { type Cutoffs, type Deleted, type Keeping, Sweep } from './housekeeping/keeping.js';
import { PARTICIPANT } from './housekeeping/participant.js';
import { createPartitions, detachPartitions, dropDetached, listRanges } from './housekeeping/partitions.js';
import { type HousekeepingRole, missingRanges, TABLE_SETS, type TableSet, type TimeRange } from './housekeeping/tables.js';
import type { Pool } from './pool.js';

export interface HousekeeperOptions {
  readonly role: HousekeepingRole;
  /** Length of a partition. */
  readonly partitionMs: number;
  /**
   * What has ended, and whose txid is older, may go. At a participant: longer than its topics are kept (`checkRetention`), and longer than
   * the `rowsKeptMs` of its machines by as much as clocks may differ.
   */
  readonly keepMs: number;
  /** Coordinator: how long the audit is kept. */
  readonly auditKeepMs: number;
  /** Coordinator: how long after its last announcement an instance of a participant is forgotten. */
  readonly instanceKeepMs: number;
  /** Rows per DELETE. */
  readonly batchSize: number;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
  /** Hears of every run that `start` made. */
  readonly onRun: (report: HousekeepingReport) => void;
  /** Hears of a run that failed; the next one comes in time. */
  readonly onError: (error: unknown) => void;
}

const DAY_MS = 24 * 60 * 60 * 1_000;

export const HOUSEKEEPING_DEFAULTS: Omit<HousekeeperOptions, 'role'> = {
  partitionMs: DAY_MS,
  keepMs: 7 * DAY_MS,
  auditKeepMs: 365 * DAY_MS,
  instanceKeepMs: DAY_MS,
  batchSize: 1_000,
  now: Date.now,
  onRun: () => undefined,
  onError: () => undefined,
};

export interface HousekeepingReport {
  /** False: another process was at it, and nothing was done here. */
  readonly ran: boolean;
  readonly created: readonly TimeRange[];
  readonly dropped: readonly TimeRange[];
  /** Old enough to go, but for what is in `unfinished`, or changed so lately that it may still be asked for. */
  readonly kept: readonly (TimeRange & { readonly because: 'unfinished' | 'changed-lately' })[];
  /** To be created or dropped, but the tables were in use for too long: the next run tries again. */
  readonly postponed: readonly TimeRange[];
  /** Not created: rows of that time are in the default partition already, and the others will follow them there. */
  readonly leftToDefault: readonly TimeRange[];
  /** The oldest transactions that should be gone and have not ended: at most 10. */
  readonly unfinished: readonly Txid[];
  /** Rows that were deleted one by one, by table. */
  readonly deleted: Deleted;
}

/** Any number that nobody else uses as an advisory lock; one for each role, which may share a database. */
const LOCKS: Readonly<Record<HousekeepingRole, number>> = { coordinator: 7_205_003, participant: 7_205_004 };
const KEEPING: { readonly [R in HousekeepingRole]: Keeping } = { coordinator: COORDINATOR, participant: PARTICIPANT };
/** Full partitions ahead of the present one: how long nobody needs to run. */
const PARTITIONS_AHEAD = 2;
/** Below the second after which Postgres looks for deadlocks: of two, it is the housekeeper who gives way. */
const ROW_LOCK_TIMEOUT_MS = 500;
const REPORTED = 10;

/**
 * Sees to it that nothing grows for ever: makes partitions ahead, drops those that are old and hold nothing unfinished, and deletes old rows
 * of what is not partitioned. Every process of a service may have one; one at a time works.
 */
export class Housekeeper {
  private readonly options: HousekeeperOptions;
  private readonly keeping: Keeping;
  private readonly set: TableSet;
  private timer: NodeJS.Timeout | null = null;
  private running: Promise<void> | null = null;
  private stopping = false;

  constructor(private readonly pool: Pool, options: Pick<HousekeeperOptions, 'role'> & Partial<HousekeeperOptions>) {
    this.options = { ...HOUSEKEEPING_DEFAULTS, ...options };
    const { role, partitionMs, keepMs } = this.options;
    if (!(Number.isInteger(partitionMs) && partitionMs > 0)) throw new RangeError(`partitionMs is ${partitionMs}: it takes a whole number of milliseconds above 0`);
    if (!(keepMs > 0)) throw new RangeError(`keepMs is ${keepMs}: it takes a number of milliseconds above 0`);
    this.keeping = KEEPING[role];
    this.set = TABLE_SETS[role];
  }

  /** Runs at once and then every `everyMs`, until `stop`. */
  start(everyMs: number): void {
    if (this.timer !== null) return;
    this.stopping = false;
    const tick = (): void => {
      this.running ??= this.run().then(this.options.onRun, this.options.onError).finally(() => { this.running = null; });
    };
    this.timer = setInterval(tick, everyMs);
    this.timer.unref();
    tick();
  }

  /** Resolves when a run that is under way has ended, which it does after its next batch. */
  async stop(): Promise<void> {
    this.stopping = true;
    if (this.timer !== null) clearInterval(this.timer);
    this.timer = null;
    await this.running;
  }

  /** Rejects with a fault of the database; whatever was done until then is done, and the next run does the rest. */
  async run(): Promise<HousekeepingReport> {
    const client = await this.pool.connect();
    try {
      const { rows: [lock] } = await client.query<{ ours: boolean }>('SELECT pg_try_advisory_lock($1) AS ours', [LOCKS[this.options.role]]);
      return lock!.ours ? await this.keep(client) : NOTHING_DONE;
    } finally {
      // Takes the lock and the settings of the session with it.
      client.release(true);
    }
  }

  private async keep(client: PoolClient): Promise<HousekeepingReport> {
    const { options: { batchSize, partitionMs }, keeping, set } = this;
    await client.query(`SET lock_timeout = ${ROW_LOCK_TIMEOUT_MS}; SET enable_seqscan = off; SET enable_hashjoin = off; SET enable_mergejoin = off`);
    const nowMs = this.options.now();
    const times = this.cutoffs(nowMs);
    const sweep = new Sweep(batchSize, () => this.stopping);
    const tally = new Tally();

    await dropDetached(client, set);
    const ranges = await listRanges(client, set);
    for (const range of missingRanges(ranges, nowMs, partitionMs, PARTITIONS_AHEAD * partitionMs)) {
      if (!this.stopping) tally.add(range, await createPartitions(client, set, range));
    }
    await keeping.announce(client, times);
    for (const range of ranges.filter(({ toMs }) => toMs <= times.cutoffMs)) {
      if (!this.stopping) tally.add(range, await this.dropRange(client, range, times, sweep, tally));
    }
    tally.count(await keeping.sweep(client, times, sweep));
    return tally.report(await keeping.unfinished(client, { fromMs: 0, toMs: times.cutoffMs }, REPORTED));
  }

  private cutoffs(nowMs: number): Cutoffs {
    const { keepMs, auditKeepMs, instanceKeepMs } = this.options;
    return { cutoffMs: nowMs - keepMs, auditCutoffMs: nowMs - auditKeepMs, instanceCutoffMs: nowMs - instanceKeepMs };
  }

  private async dropRange(client: PoolClient, range: TimeRange, { cutoffMs }: Cutoffs, sweep: Sweep, tally: Tally): Promise<Fate> {
    const { keeping, set } = this;
    const allEnded = async (): Promise<boolean> => (await keeping.unfinished(client, range, 1)).length === 0;
    if (!(await allEnded())) return 'unfinished';
    if (await keeping.changedSince(client, range, cutoffMs)) return 'changed-lately';
    tally.count(await keeping.beforeDetach(client, range, sweep));
    if (this.stopping) return 'postponed';
    const detached = await detachPartitions(client, set, range, allEnded);
    if (detached === null) return 'postponed';
    if (!detached) return 'unfinished';
    await dropDetached(client, set);
    return 'dropped';
  }
}

type Fate = 'created' | 'dropped' | 'postponed' | 'left-to-default' | 'unfinished' | 'changed-lately';

class Tally {
  private readonly fates: { readonly range: TimeRange; readonly fate: Fate }[] = [];
  private readonly deleted: Record<string, number> = {};

  add(range: TimeRange, fate: Fate): void {
    this.fates.push({ range, fate });
  }

  count(deleted: Deleted): void {
    for (const [table, rows] of Object.entries(deleted)) this.deleted[table] = (this.deleted[table] ?? 0) + rows;
  }

  report(unfinished: readonly Txid[]): HousekeepingReport {
    const of = (wanted: Fate): readonly TimeRange[] => this.fates.filter(({ fate }) => fate === wanted).map(({ range }) => range);
    return {
      ran: true, created: of('created'), dropped: of('dropped'), postponed: of('postponed'), leftToDefault: of('left-to-default'),
      kept: this.fates.flatMap(({ range, fate }) => (fate === 'unfinished' || fate === 'changed-lately' ? [{ ...range, because: fate }] : [])),
      unfinished, deleted: Object.fromEntries(Object.entries(this.deleted).filter(([, rows]) => rows > 0)),
    };
  }
}

const NOTHING_DONE: HousekeepingReport = { ran: false, created: [], dropped: [], kept: [], postponed: [], leftToDefault: [], unfinished: [], deleted: {} };
