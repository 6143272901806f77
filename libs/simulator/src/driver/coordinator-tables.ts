import { ReasonCode, shardOf, type OutcomeStatus, type Txid } from '#libs/protocol';
import type {
  BeginRow, CoordinatorFlush, CoordinatorFlushResult, CoordinatorStore, EndRow, ProgressRow, RegisterEntry, ShardEpoch, StoredTransaction, UnfinishedTransaction,
} from '#libs/runtime';
import type { DriverDefect } from './defects.js';
import { bare } from './outcomes.js';
import type { SimProcess } from './process.js';
import type { Wire } from './wire.js';
import type { Witness } from './witness.js';

/** Of whoever flushes, for the trace. */
export type FlushListener = (process: SimProcess, batch: CoordinatorFlush, result: CoordinatorFlushResult) => void;

export const COORDINATOR_DATABASE = 'coordinator';

/**
 * The coordinator's tables as libs/postgres keeps them: epochs that fence, idempotency keys that are claimed once, a register that is
 * written once, ends that are written once, and the list of what is open. What Postgres does under locks happens here at one moment.
 */
export class CoordinatorTables {
  readonly begins = new Map<Txid, BeginRow>();
  readonly register = new Map<Txid, RegisterEntry>();
  readonly ends = new Map<Txid, EndRow>();
  /** What unfinished transactions remember, by txid, then by kind and key. */
  readonly progress = new Map<Txid, Map<string, ProgressRow>>();
  readonly keys = new Map<string, { readonly txid: Txid; readonly requestHash: string }>();
  readonly open = new Set<Txid>();
  private readonly epochs = new Map<number, number>();

  constructor(private readonly witness: Witness, private readonly defect: DriverDefect | null, private readonly onFlush: FlushListener) {}

  port(process: SimProcess, wire: Wire): CoordinatorStore {
    const request = <T>(serve: () => T): Promise<T> => wire.request(process, COORDINATOR_DATABASE, serve);
    return {
      acquireShards: (shards) => request(() => shards.map((shard) => this.raise(shard))),
      shardEpochs: (shards) => request(() => shards.flatMap((shard) => (this.epochs.has(shard) ? [{ shard, epoch: this.epochs.get(shard)! }] : []))),
      loadUnfinished: (shard, after, limit) => request(() => this.unfinished(shard, after, limit)),
      flush: (batch) => (this.defect === 'begin-told-early' && isBeginsOnly(batch) ? this.flushLater(process, batch) : request(() => this.flush(process, batch))),
      presumeAbort: (txids, atMs) => request(() => new Map(txids.flatMap((txid) => {
        const entry = this.presumeAbort(txid, atMs);
        return entry === null ? [] : [[txid, entry]];
      }))),
      lookUp: (txids) => request(() => new Map(txids.flatMap((txid) => (this.begins.has(txid) ? [[txid, this.stored(txid)]] : [])))),
    };
  }

  /**
   * What a reader of the tables is told: the register speaks first; a transaction without one takes its outcome from the end. A saga's
   * `completed` counts as committed, its `compensated` as aborted.
   */
  outcome(txid: Txid): OutcomeStatus | null {
    const entry = this.register.get(txid);
    if (entry !== undefined) return entry.decision === 'COMMIT' ? 'committed' : 'aborted';
    const end = this.ends.get(txid);
    return end === undefined ? null : bare(end.outcome);
  }

  progressOf(txid: Txid): readonly ProgressRow[] {
    return [...this.progress.get(txid)?.values() ?? []];
  }

  epochOf(shard: number): number {
    return this.epochs.get(shard) ?? 0;
  }

  private raise(shard: number): ShardEpoch {
    const epoch = this.epochOf(shard) + 1;
    this.epochs.set(shard, epoch);
    return { shard, epoch };
  }

  private unfinished(shard: number, after: Txid | null, limit: number): readonly UnfinishedTransaction[] {
    const txids = [...this.open].filter((txid) => shardOf(txid) === shard);
    const from = after === null ? 0 : txids.findIndex((txid) => this.witness.ordinal(txid) > this.witness.ordinal(after));
    return (from < 0 ? [] : txids.slice(from, from + limit)).map((txid) => this.stored(txid));
  }

  private stored(txid: Txid): StoredTransaction {
    return { begin: this.begins.get(txid)!, register: this.register.get(txid) ?? null, progress: this.progressOf(txid), end: this.ends.get(txid) ?? null };
  }

  private flush(process: SimProcess, batch: CoordinatorFlush): CoordinatorFlushResult {
    const epochs = new Map(batch.epochs.map(({ shard, epoch }) => [shard, epoch]));
    const isOurs = (txid: Txid): boolean => this.defect === 'epoch-ignored' || epochs.get(shardOf(txid)) === this.epochs.get(shardOf(txid));
    const duplicates = new Map<Txid, { txid: Txid; requestHash: string }>();
    const register = new Map<Txid, RegisterEntry>();
    for (const row of batch.begins) {
      if (!isOurs(row.spec.txid)) continue;
      const earlier = this.claim(row);
      if (earlier === null) this.begin(row);
      else duplicates.set(row.spec.txid, earlier);
    }
    for (const row of batch.progress) {
      if (isOurs(row.txid)) this.remember(row);
    }
    for (const { txid, decision, reason, branches, atMs } of batch.decisions) {
      if (isOurs(txid)) register.set(txid, this.decide(txid, { decision, reason, branches, atMs }));
    }
    for (const row of batch.ends) {
      if (isOurs(row.txid)) this.end(row);
    }
    const fenced = this.defect === 'epoch-ignored' ? [] : batch.epochs.filter(({ shard, epoch }) => this.epochs.get(shard) !== epoch).map(({ shard }) => shard);
    const result = { fenced, duplicates, register };
    this.onFlush(process, batch, result);
    return result;
  }

  private claim({ spec, idempotency }: BeginRow): { txid: Txid; requestHash: string } | null {
    if (idempotency === null || this.defect === 'keys-not-unique') return null;
    const earlier = this.keys.get(idempotency.key);
    if (earlier !== undefined) return earlier.txid === spec.txid ? null : earlier;
    this.keys.set(idempotency.key, { txid: spec.txid, requestHash: idempotency.requestHash });
    return null;
  }

  /** A flush that is sent again does not open anew what has ended. */
  private begin(row: BeginRow): void {
    const { txid } = row.spec;
    if (this.begins.has(txid)) return;
    this.witness.name(txid);
    this.begins.set(txid, row);
    this.open.add(txid);
  }

  private remember(row: ProgressRow): void {
    if (!this.open.has(row.txid)) return;
    const rows = this.progress.get(row.txid) ?? new Map<string, ProgressRow>();
    this.progress.set(row.txid, rows.set(`${row.kind}/${row.key}`, row));
  }

  private decide(txid: Txid, entry: RegisterEntry): RegisterEntry {
    const held = this.register.get(txid);
    if (held !== undefined && this.defect !== 'register-overwritten') return held;
    this.register.set(txid, entry);
    this.witness.told(txid, entry.decision === 'COMMIT' ? 'committed' : 'aborted', 'register');
    return entry;
  }

  private end(row: EndRow): void {
    this.witness.told(row.txid, bare(row.outcome), 'END');
    if (!this.ends.has(row.txid)) this.ends.set(row.txid, row);
    this.open.delete(row.txid);
    this.progress.delete(row.txid);
  }

  /** Null: not for this statement to answer, the transaction is of another protocol. */
  private presumeAbort(txid: Txid, atMs: number): RegisterEntry | null {
    if ((this.begins.get(txid)?.spec.protocol ?? '2pc') !== '2pc') {
      this.witness.object(`PRESUMED: abort of ${this.witness.name(txid)} was presumed, which is no transaction of two-phase commit`);
      return null;
    }
    const ended = this.ends.get(txid);
    const held = this.register.get(txid);
    if (held !== undefined) return held;
    if (ended !== undefined) return { decision: ended.outcome === 'committed' ? 'COMMIT' : 'ABORT', reason: ended.reason, branches: ended.branches, atMs: ended.atMs };
    const entry: RegisterEntry = { decision: 'ABORT', reason: { code: ReasonCode.NO_RECORD }, branches: [], atMs };
    return this.defect === 'presumed-without-register' ? entry : this.decide(txid, entry);
  }

  /** The defect: the store answers, and writes a little later, unless the process is gone by then. */
  private async flushLater(process: SimProcess, batch: CoordinatorFlush): Promise<CoordinatorFlushResult> {
    process.at(process.now() + 20, () => void this.flush(process, batch));
    return { fenced: [], duplicates: new Map(), register: new Map() };
  }
}

function isBeginsOnly({ begins, progress, decisions, ends }: CoordinatorFlush): boolean {
  return progress.length === 0 && decisions.length === 0 && ends.length === 0 && begins.every(({ idempotency }) => idempotency === null);
}
