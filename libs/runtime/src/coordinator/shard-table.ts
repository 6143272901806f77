import type { UnfinishedTransaction } from '../ports.js';
import { backoffMs, pause, QUICK_BACKOFF } from '../retry.js';
import type { CoordinatorContext } from './context.js';
import { noShard } from './errors.js';
import type { Lane } from './lane.js';
import { Shard } from './shard.js';
import type { Ticket } from './ticket.js';
import type { Transaction } from './transaction.js';
import type { ShardStatus } from './types.js';

/** Unfinished transactions are loaded this many at a time. */
const PAGE = 500;
/** After a defect of its own a process does not wait for others. */
const DEFECT_RETRY_MS = 1_000;
/** A shard that keeps being taken from both of two members is tried ever more seldom, up to this many times `fencedRetryMs`. */
const MAX_PATIENCE = 8;

type ShardTableDeps = Pick<CoordinatorContext, 'store' | 'clock' | 'options' | 'observer' | 'table' | 'waiters' | 'timers' | 'lingering' | 'counters' | 'closing'>;

/**
 * The shards of this process. The consumer group says which; the store's epoch makes the tenure: raised on taking a shard,
 * checked by every flush. New work is taken as soon as the epoch is raised, while the old is still being loaded.
 */
export class ShardTable {
  private readonly byId = new Map<number, Shard>();
  private readonly byLane = new Map<Lane, readonly Shard[]>();
  private readonly rotation = new Map<Lane, number>();
  private wanted: ReadonlySet<number> = new Set();
  /** Assignments are worked on one after the other. */
  private turn: Promise<void> = Promise.resolve();
  private takeBackRetry: (() => void) | null = null;
  /** How often in a row a shard was fenced soon after it was acquired. */
  private readonly strikes = new Map<number, number>();

  /** @param lanes shard s belongs to lane s modulo their number */
  constructor(private readonly deps: ShardTableDeps, private readonly lanes: readonly Lane[]) {}

  get(id: number): Shard | undefined {
    return this.byId.get(id);
  }

  status(): readonly ShardStatus[] {
    const owned = [...this.byId.values()].filter((shard) => shard.state === 'owned').sort((a, b) => a.id - b.id);
    return owned.map(({ id, epoch, inFlight, recovered }) => ({ shard: id, epoch, inFlight, recovered }));
  }

  /** The owned shards of the lane. */
  ofLane(lane: Lane): readonly Shard[] {
    return this.byLane.get(lane) ?? [];
  }

  /** The shard for the next begins of the lane, each in turn; null if it owns none. */
  next(lane: Lane): Shard | null {
    const shards = this.ofLane(lane);
    if (shards.length === 0) return null;
    const turn = (this.rotation.get(lane) ?? 0) + 1;
    this.rotation.set(lane, turn);
    return shards[turn % shards.length]!;
  }

  /** Lets go of what is not in the set at once; resolves when the rest is acquired. Rejects with the store's fault. */
  assigned(partitions: readonly number[]): Promise<void> {
    this.wanted = new Set(partitions);
    for (const shard of this.byId.values()) {
      if (!this.wanted.has(shard.id)) this.lose(shard);
    }
    for (const id of this.strikes.keys()) if (!this.wanted.has(id)) this.strikes.delete(id);
    this.index();
    const acquired = this.turn.then(() => this.acquire(() => true));
    this.turn = acquired.catch(() => {});
    return acquired;
  }

  /** These shards' epochs have been raised by another owner. @param undone what was delivered for them and is not durable */
  fenced(tenures: readonly Shard[], undone: readonly Ticket[]): void {
    this.letGo(tenures, undone, false);
  }

  /** What is in memory of these shards may be wrong. @param undone as of `fenced` */
  defective(tenures: readonly Shard[], undone: readonly Ticket[]): void {
    this.letGo(tenures, undone, true);
  }

  /** Lets go of everything. */
  close(): void {
    this.wanted = new Set();
    this.takeBackRetry?.();
    for (const shard of this.byId.values()) this.lose(shard);
    this.index();
  }

  /** Takes one transaction out of memory; whoever waits for it is told to look elsewhere. */
  forget(transaction: Transaction): void {
    const { table, waiters, timers, lingering } = this.deps;
    table.remove(transaction);
    timers.cancelKey(transaction.txid);
    lingering.delete(transaction);
    waiters.drop(transaction);
    transaction.begin?.reject(noShard());
    transaction.begin = null;
  }

  private letGo(tenures: readonly Shard[], undone: readonly Ticket[], isOwnDefect: boolean): void {
    const fenced = tenures.filter((shard) => shard.state === 'owned' && this.byId.get(shard.id) === shard);
    for (const shard of fenced) {
      this.deps.counters.fenced++;
      this.setAside(shard);
      shard.isOwnDefect = isOwnDefect;
      shard.retryAtMs = this.deps.clock.elapsed() + this.patienceMs(shard);
    }
    for (const { shard, batch } of undone) {
      const tenure = this.byId.get(shard.id);
      if (tenure?.state === 'fenced') tenure.undone.add(batch);
      else if (tenure !== undefined && tenure !== shard) tenure.lane.add({ kind: 'batch', batch, shard: tenure });
    }
    if (fenced.length === 0) return;
    this.index();
    this.deps.observer.fenced(fenced.map((shard) => shard.id));
    this.retryLater();
  }

  private async acquire(isDue: (id: number) => boolean): Promise<void> {
    const { store, options } = this.deps;
    await this.dropSuperseded();
    const fresh = [...this.wanted].filter((id) => this.byId.get(id)?.state !== 'owned' && isDue(id));
    if (fresh.length === 0 || this.deps.closing.aborted) return;
    for (const { shard, epoch } of await store.acquireShards(fresh, options.instance)) {
      // Taken away meanwhile: its next owner raises the epoch again.
      if (this.wanted.has(shard)) this.take(shard, epoch);
    }
    this.index();
  }

  /** A rebalance may give a shard back that somebody else has owned meanwhile. */
  private async dropSuperseded(): Promise<void> {
    const kept = [...this.byId.values()].filter((shard) => shard.state === 'owned');
    if (kept.length === 0) return;
    const epochs = await this.deps.store.shardEpochs(kept.map((shard) => shard.id));
    for (const { shard: id, epoch } of epochs) {
      const shard = this.byId.get(id);
      if (shard === undefined || shard.epoch === epoch || shard.state !== 'owned') continue;
      this.setAside(shard);
      shard.retryAtMs = this.deps.clock.elapsed() + this.patienceMs(shard);
    }
    this.index();
  }

  private setAside(shard: Shard): void {
    shard.state = 'fenced';
    this.dropTransactions(shard);
    for (const { ticket } of shard.early.splice(0)) shard.undone.add(ticket.batch);
  }

  private take(id: number, epoch: number): void {
    const before = this.byId.get(id);
    const shard = new Shard(id, epoch, this.lanes[id % this.lanes.length]!, this.deps.clock.elapsed());
    this.byId.set(id, shard);
    for (const batch of before?.undone ?? []) shard.lane.add({ kind: 'batch', batch, shard });
    before?.close();
    shard.recovery = this.recover(shard).catch((error: unknown) => this.deps.observer.error(error, `recover shard ${id}`));
  }

  private lose(shard: Shard): void {
    shard.close();
    if (this.byId.get(shard.id) === shard) this.byId.delete(shard.id);
    this.dropTransactions(shard);
  }

  private dropTransactions(shard: Shard): void {
    for (const transaction of this.deps.table.values()) {
      if (transaction.shard === shard) this.forget(transaction);
    }
  }

  private index(): void {
    this.byLane.clear();
    for (const lane of this.lanes) this.byLane.set(lane, [...this.byId.values()].filter((shard) => shard.lane === lane && shard.state === 'owned'));
  }

  // ---------------------------------------------------------------- after a fence

  /**
   * How long a shard that was fenced is left to whoever took it. Taking it back is safe at any time, as the epoch decides; but two members
   * that both believe it to be theirs would take it from each other for ever, and load all of it each time. Mostly it was a late request of
   * an owner of before, who has let go already: so `fencedRetryMs` is short. Sometimes this member is the one that is wrong and has not
   * noticed (for Kafka's `detachAfterMs` at most): so it doubles as long as that does not help. An assignment, which the group has just
   * confirmed, does not wait at all.
   */
  private patienceMs({ id, sinceMs, isOwnDefect }: Shard): number {
    const { clock, options: { fencedRetryMs } } = this.deps;
    const isSoon = clock.elapsed() - sinceMs < MAX_PATIENCE * fencedRetryMs;
    const strikes = isSoon ? (this.strikes.get(id) ?? 0) : 0;
    this.strikes.set(id, strikes + 1);
    const firstMs = isOwnDefect ? Math.min(DEFECT_RETRY_MS, fencedRetryMs) : fencedRetryMs;
    return Math.min(firstMs * 2 ** strikes, MAX_PATIENCE * fencedRetryMs);
  }

  private retryLater(): void {
    this.takeBackRetry?.();
    this.takeBackRetry = null;
    const { clock } = this.deps;
    const fenced = this.fencedNow();
    if (fenced.length === 0) return;
    const nextMs = Math.min(...fenced.map(({ retryAtMs }) => retryAtMs));
    this.takeBackRetry = clock.at(clock.now() + Math.ceil(Math.max(nextMs - clock.elapsed(), 0)), () => {
      this.takeBackRetry = null;
      this.turn = this.turn.then(() => this.retry());
    });
  }

  private async retry(): Promise<void> {
    const { clock, observer, options } = this.deps;
    try {
      await this.leaveToOthers();
      const nowMs = clock.elapsed();
      await this.acquire((id) => (this.byId.get(id)?.retryAtMs ?? 0) <= nowMs);
    } catch (error) {
      observer.error(error, 'acquire shards');
      const againMs = clock.elapsed() + Math.min(DEFECT_RETRY_MS, options.fencedRetryMs);
      for (const shard of this.fencedNow()) shard.retryAtMs = Math.max(shard.retryAtMs, againMs);
    }
    if (!this.deps.closing.aborted) this.retryLater();
  }

  /** A shard that was let go of after a defect may have been taken by somebody meanwhile: then it is left to them. */
  private async leaveToOthers(): Promise<void> {
    const { store, clock, options } = this.deps;
    const own = this.fencedNow().filter(({ isOwnDefect }) => isOwnDefect);
    if (own.length === 0) return;
    const epochs = new Map((await store.shardEpochs(own.map(({ id }) => id))).map(({ shard, epoch }) => [shard, epoch]));
    for (const shard of own) {
      if (epochs.get(shard.id) === shard.epoch) continue;
      shard.isOwnDefect = false;
      shard.retryAtMs = clock.elapsed() + options.fencedRetryMs;
    }
  }

  private fencedNow(): readonly Shard[] {
    return [...this.byId.values()].filter((shard) => shard.state === 'fenced');
  }

  // ---------------------------------------------------------------- recovery

  private async recover(shard: Shard): Promise<void> {
    for (let after: UnfinishedTransaction | undefined, more = true; more;) {
      const page = await this.loadPage(shard, after);
      if (page === null) return;
      // The next page is loaded while this one's records are flushed, not earlier: memory stays bounded by what is unfinished.
      if (page.length > 0) await new Promise<void>((stepped) => shard.lane.add({ kind: 'recover', shard, page, stepped }));
      after = page.at(-1);
      more = page.length === PAGE;
    }
    if (shard.state !== 'owned') return;
    shard.recovered = true;
    if (shard.early.length > 0) shard.lane.add({ kind: 'messages', messages: shard.early.splice(0), shard });
  }

  private async loadPage(shard: Shard, after: UnfinishedTransaction | undefined): Promise<readonly UnfinishedTransaction[] | null> {
    const { store, clock, observer, closing } = this.deps;
    for (let attempt = 0; shard.state === 'owned' && !closing.aborted; attempt++) {
      try {
        return await store.loadUnfinished(shard.id, after?.begin.spec.txid ?? null, PAGE);
      } catch (error) {
        observer.error(error, `recover shard ${shard.id}`);
      }
      await pause(clock, backoffMs(attempt, QUICK_BACKOFF), closing);
    }
    return null;
  }
}
