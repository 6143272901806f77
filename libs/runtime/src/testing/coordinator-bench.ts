import { CoordinatorDriver } from '../coordinator/driver.js';
import type { BeginRequest, CoordinatorObserver, CoordinatorOptions, FlushStats, Glimpse } from '../coordinator/types.js';
import type { Announce, SagaStepKind, SagaStepSpec, Txid } from '#libs/protocol';
import type { TransactionView } from '../ports.js';
import { FakeBus, willing } from './fake-bus.js';
import { FakeClock } from './fake-clock.js';
import { MemoryStore } from './memory-store.js';

/** What an observer was told. */
export class Journal implements CoordinatorObserver {
  readonly begunTxids: Txid[] = [];
  readonly decidedViews: TransactionView[] = [];
  readonly finishedViews: TransactionView[] = [];
  readonly flushStats: FlushStats[] = [];
  readonly attentionViews: TransactionView[] = [];
  readonly fencedShards: number[] = [];
  readonly errors: { readonly error: unknown; readonly context: string }[] = [];

  begun({ view }: Glimpse): void {
    this.begunTxids.push(view().txid);
  }

  decided(view: TransactionView): void {
    this.decidedViews.push(view);
  }

  finished({ view }: Glimpse): void {
    this.finishedViews.push(view());
  }

  attention(view: TransactionView): void {
    this.attentionViews.push(view);
  }

  flushed(stats: FlushStats): void {
    this.flushStats.push(stats);
  }

  fenced(shards: readonly number[]): void {
    this.fencedShards.push(...shards);
  }

  error(error: unknown, context: string): void {
    this.errors.push({ error, context });
  }
}

/** One world: a clock, a store, a bus with willing participants, and as many coordinators as a test starts. */
export class Bench {
  readonly clock = new FakeClock();
  readonly store = new MemoryStore();
  readonly bus = new FakeBus().participant('orders', willing).participant('payments', willing).participant('inventory', willing);
  readonly journal = new Journal();
  readonly announced: Announce[] = [];
  private readonly drivers: CoordinatorDriver[] = [];
  private readonly killed = new Set<CoordinatorDriver>();

  driver(options: Partial<CoordinatorOptions> = {}): CoordinatorDriver {
    const isKilled = (): boolean => this.killed.has(driver);
    const driver: CoordinatorDriver = new CoordinatorDriver({
      store: mortal(this.store, isKilled), transport: mortal(this.bus, isKilled), clock: this.clock, observer: this.journal,
      // The clock stands still unless a test moves it: nothing may wait for it that a test did not ask for.
      options: { instance: `c${this.drivers.length + 1}`, gatherMs: 0, ...options },
      onAnnounce: async (messages) => {
        this.announced.push(...messages);
      },
    });
    this.drivers.push(driver);
    return driver;
  }

  /** A started driver that owns these shards. */
  async owner(shards: readonly number[], options: Partial<CoordinatorOptions> = {}): Promise<CoordinatorDriver> {
    const driver = this.driver(options);
    await this.bus.assign(driver, shards);
    return driver;
  }

  /** Its process dies: nothing more of it reaches the store or the broker. */
  kill(driver: CoordinatorDriver): void {
    this.killed.add(driver);
  }

  /** Stops all drivers, without waiting for what a test has left open. */
  async close(): Promise<void> {
    this.store.up();
    this.store.release();
    this.store.releaseLoads();
    this.bus.up();
    const stopped = Promise.all(this.drivers.filter((driver) => !this.killed.has(driver)).map((driver) => driver.stop()));
    await this.clock.advance(60_000);
    await stopped;
  }
}

/** A port that answers its owner as long as that lives. */
function mortal<Port extends object>(port: Port, isKilled: () => boolean): Port {
  return new Proxy(port, {
    get(target, name) {
      const member: unknown = Reflect.get(target, name);
      if (typeof member !== 'function') return member;
      return (...args: unknown[]): unknown => (isKilled() ? new Promise(() => {}) : member.apply(target, args));
    },
  });
}

type BranchesRequest = Extract<BeginRequest, { readonly branches: unknown }>;
type SagaRequest = Extract<BeginRequest, { readonly steps: unknown }>;

export function checkout(changes: Partial<BranchesRequest> = {}): BranchesRequest {
  return {
    protocol: '2pc',
    branches: ['orders', 'payments', 'inventory'].map((participant) => ({ participant, operation: 'work', payload: { amountCents: 1 } })),
    timeoutMs: 10_000,
    waitFor: 'decided',
    metadata: null,
    idempotency: null,
    ...changes,
  };
}

/** place (orders), reserve (inventory), the pivot debit (payments), confirm (orders). */
export function sagaCheckout(changes: Partial<SagaRequest> = {}): SagaRequest {
  const step = (id: string, participant: string, kind: SagaStepKind): SagaStepSpec => ({
    id, participant, operation: id, payload: null, kind, timeoutMs: 5_000, retry: { maxAttempts: 3, firstMs: 100, maxMs: 1_000 },
  });
  return {
    protocol: 'saga',
    steps: [step('place', 'orders', 'compensatable'), step('reserve', 'inventory', 'compensatable'), step('debit', 'payments', 'pivot'), step('confirm', 'orders', 'retriable')],
    timeoutMs: 20_000,
    compensationTimeoutMs: 10_000,
    attentionAfterAttempts: 3,
    waitFor: 'finished',
    metadata: null,
    idempotency: null,
    ...changes,
  };
}

/** Begins and gives the txid; fails on a duplicate. */
export async function begun(driver: CoordinatorDriver, changes: Partial<BranchesRequest> | SagaRequest = {}): Promise<Txid> {
  const result = await driver.begin('steps' in changes ? changes : checkout(changes));
  if (result.kind !== 'begun') throw new Error('the transaction is a duplicate');
  return result.txid;
}
