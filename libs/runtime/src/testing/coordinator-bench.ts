import { CoordinatorDriver } from '../coordinator/driver.js';
import type { BeginRequest, CoordinatorObserver, CoordinatorOptions, FlushStats } from '../coordinator/types.js';
import type { Announce, Txid } from '#libs/protocol';
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
  readonly fencedShards: number[] = [];
  readonly errors: { readonly error: unknown; readonly context: string }[] = [];

  begun(view: TransactionView): void {
    this.begunTxids.push(view.txid);
  }

  decided(view: TransactionView): void {
    this.decidedViews.push(view);
  }

  finished(view: TransactionView): void {
    this.finishedViews.push(view);
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

  driver(options: Partial<CoordinatorOptions> = {}): CoordinatorDriver {
    const driver = new CoordinatorDriver({
      store: this.store, transport: this.bus, clock: this.clock, observer: this.journal,
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

  /** Stops all drivers, without waiting for what a test has left open. */
  async close(): Promise<void> {
    this.store.up();
    this.store.release();
    this.store.releaseLoads();
    this.bus.up();
    const stopped = Promise.all(this.drivers.map((driver) => driver.stop()));
    await this.clock.advance(60_000);
    await stopped;
  }
}

export function checkout(changes: Partial<BeginRequest> = {}): BeginRequest {
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

/** Begins and gives the txid; fails on a duplicate. */
export async function begun(driver: CoordinatorDriver, changes: Partial<BeginRequest> = {}): Promise<Txid> {
  const result = await driver.begin(checkout(changes));
  if (result.kind !== 'begun') throw new Error('the transaction is a duplicate');
  return result.txid;
}
