import { ReasonCode, shardOf, type Txid } from '#libs/protocol';
import type {
  BeginRow, CoordinatorFlush, CoordinatorFlushResult, CoordinatorStore, DecideRow, EndRow, ProgressRow, RegisterEntry, ShardEpoch, StoredTransaction, TimelineEvent,
  UnfinishedTransaction,
} from '../ports.js';

/** The coordinator's tables in memory, with faults on demand. Several drivers may share one. */
export class MemoryStore implements CoordinatorStore {
  readonly begins = new Map<Txid, BeginRow>();
  readonly register = new Map<Txid, RegisterEntry>();
  readonly ends = new Map<Txid, EndRow>();
  /** By txid, then by kind and key. */
  readonly progress = new Map<Txid, Map<string, ProgressRow>>();
  readonly timelines = new Map<Txid, TimelineEvent[]>();
  readonly keys = new Map<string, { txid: Txid; requestHash: string }>();
  readonly epochs = new Map<number, number>();
  /** Every flush that was written. */
  readonly flushes: CoordinatorFlush[] = [];
  presumed = 0;
  lookUps = 0;
  private fault: Error | null = null;
  private lateFaults = 0;
  private gate: Promise<void> | null = null;
  private openGate: () => void = () => {};
  private loadGate: Promise<void> = Promise.resolve();
  private openLoadGate: () => void = () => {};
  private waitingAtGate = 0;

  /** Every operation fails until `up`. */
  down(): void {
    this.fault = new Error('the store is down');
  }

  up(): void {
    this.fault = null;
  }

  /** The next flush is written, and fails all the same: the connection broke while the answer was under way. */
  loseNextAnswer(): void {
    this.lateFaults++;
  }

  /** Flushes wait until `release`. */
  hold(): void {
    this.gate = new Promise((resolve) => {
      this.openGate = resolve;
    });
  }

  release(): void {
    this.gate = null;
    this.openGate();
  }

  /** Pages of unfinished transactions are read, and then not answered until `releaseLoads`. */
  holdLoads(): void {
    this.loadGate = new Promise((resolve) => {
      this.openLoadGate = resolve;
    });
  }

  releaseLoads(): void {
    this.openLoadGate();
  }

  get held(): number {
    return this.waitingAtGate;
  }

  async acquireShards(shards: readonly number[], _owner: string): Promise<readonly ShardEpoch[]> {
    await this.answer();
    return shards.map((shard) => {
      this.epochs.set(shard, (this.epochs.get(shard) ?? 0) + 1);
      return { shard, epoch: this.epochs.get(shard)! };
    });
  }

  async shardEpochs(shards: readonly number[]): Promise<readonly ShardEpoch[]> {
    await this.answer();
    return shards.map((shard) => ({ shard, epoch: this.epochs.get(shard) ?? 0 }));
  }

  async loadUnfinished(shard: number, after: Txid | null, limit: number): Promise<readonly UnfinishedTransaction[]> {
    await this.answer();
    const txids = [...this.begins.keys()].filter((txid) => shardOf(txid) === shard && !this.ends.has(txid) && (after === null || txid > after)).sort();
    const page = txids.slice(0, limit).map((txid) => this.stored(txid)!);
    await this.loadGate;
    return page;
  }

  async flush(batch: CoordinatorFlush): Promise<CoordinatorFlushResult> {
    if (this.gate !== null) {
      this.waitingAtGate++;
      await this.gate;
      this.waitingAtGate--;
    }
    await this.answer();
    const result = this.write(batch);
    if (this.lateFaults === 0) return result;
    this.lateFaults--;
    throw new Error('the connection broke');
  }

  async presumeAbort(txids: readonly Txid[], atMs: number): Promise<ReadonlyMap<Txid, RegisterEntry>> {
    await this.answer();
    this.presumed++;
    return new Map(txids.map((txid) => {
      if (!this.register.has(txid)) this.register.set(txid, { decision: 'ABORT', reason: { code: ReasonCode.NO_RECORD }, branches: [], atMs });
      return [txid, this.register.get(txid)!];
    }));
  }

  async lookUp(txids: readonly Txid[]): Promise<ReadonlyMap<Txid, StoredTransaction>> {
    await this.answer();
    this.lookUps++;
    return new Map(txids.flatMap((txid) => {
      const stored = this.stored(txid);
      return stored === null ? [] : [[txid, stored]];
    }));
  }

  /** A transaction as the tables have it. */
  stored(txid: Txid): StoredTransaction | null {
    const begin = this.begins.get(txid);
    if (begin === undefined) return null;
    const progress = [...this.progress.get(txid)?.values() ?? []];
    return { begin, register: this.register.get(txid) ?? null, progress, end: this.ends.get(txid) ?? null };
  }

  /** The keys of its progress rows of one kind. */
  progressKeys(kind: ProgressRow['kind'], txid: Txid): readonly string[] {
    return [...this.progress.get(txid)?.values() ?? []].filter((row) => row.kind === kind).map(({ key }) => key);
  }

  private async answer(): Promise<void> {
    await new Promise((resolve) => setImmediate(resolve));
    if (this.fault !== null) throw this.fault;
  }

  private write(batch: CoordinatorFlush): CoordinatorFlushResult {
    const rows = batch.progress.map(({ txid, kind, key }) => `${txid} ${kind} ${key}`);
    // As Postgres has it: one statement cannot write one row twice.
    if (new Set(rows).size < rows.length) throw new Error('a progress row occurs twice in one flush');
    const fenced = batch.epochs.filter(({ shard, epoch }) => this.epochs.get(shard) !== epoch).map(({ shard }) => shard);
    const ours = (txid: Txid): boolean => !fenced.includes(shardOf(txid));
    const duplicates = new Map<Txid, { txid: Txid; requestHash: string }>();
    for (const row of batch.begins.filter(({ spec }) => ours(spec.txid))) {
      const earlier = this.reserve(row);
      if (earlier === null) this.begins.set(row.spec.txid, row);
      else duplicates.set(row.spec.txid, earlier);
    }
    for (const row of batch.progress.filter(({ txid }) => ours(txid))) {
      const rows = this.progress.get(row.txid) ?? new Map<string, ProgressRow>();
      this.progress.set(row.txid, rows.set(`${row.kind} ${row.key}`, row));
    }
    const register = new Map<Txid, RegisterEntry>();
    for (const row of batch.decisions.filter(({ txid }) => ours(txid))) register.set(row.txid, this.decide(row));
    for (const row of batch.ends.filter(({ txid }) => ours(txid))) {
      this.ends.set(row.txid, row);
      this.progress.delete(row.txid);
      this.note(row.txid, row.timeline);
    }
    this.flushes.push(batch);
    return { fenced, duplicates, register };
  }

  private reserve({ spec, idempotency }: BeginRow): { txid: Txid; requestHash: string } | null {
    if (idempotency === null) return null;
    const earlier = this.keys.get(idempotency.key);
    if (earlier !== undefined) return earlier.txid === spec.txid ? null : earlier;
    this.keys.set(idempotency.key, { txid: spec.txid, requestHash: idempotency.requestHash });
    return null;
  }

  private decide({ txid, decision, reason, branches, atMs, timeline }: DecideRow): RegisterEntry {
    if (!this.register.has(txid)) {
      this.register.set(txid, { decision, reason, branches, atMs });
      this.note(txid, timeline);
    }
    return this.register.get(txid)!;
  }

  private note(txid: Txid, events: readonly TimelineEvent[]): void {
    this.timelines.set(txid, [...(this.timelines.get(txid) ?? []), ...events]);
  }
}
