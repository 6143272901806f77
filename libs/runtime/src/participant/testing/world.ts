import { makeTxid, type Json, type Message, type Peers, type Prepare, type Txid } from '#libs/protocol';
import { ParticipantDriver } from '../driver.js';
import type { SiteConfig } from '../site-config.js';
import type { ParkedBranch, ParticipantErrorContext, ParticipantFlush, ParticipantOptions } from '../types.js';
import { FakeClock, turns } from './fake-clock.js';
import { FakeBatch, FakeTransport } from './fake-transport.js';
import { LedgerRunner } from './ledger-runner.js';
import { MemoryBranchStore, type Ledger } from './memory-branch-store.js';
import { describe } from './words.js';

export const CONFIG = { name: 'payments', inquireAfterMs: 5_000, maxInquireIntervalMs: 20_000, askPeersAfterInquiries: 1 } as const;
export const PARTITIONS = 4;
export const PEERS: Peers = ['orders', 'payments', 'inventory'];

export type WorldOptions = Partial<ParticipantOptions> & { readonly config?: Partial<SiteConfig>; readonly handlers?: 'none' };

/** One service instance on a database that outlives it. */
export class World {
  readonly clock = new FakeClock();
  readonly store = new MemoryBranchStore();
  readonly transport = new FakeTransport();
  readonly runner = new LedgerRunner();
  readonly errors: { error: unknown; context: ParticipantErrorContext }[] = [];
  readonly flushes: ParticipantFlush[] = [];
  readonly parkings: ParkedBranch[] = [];
  readonly unparkings: ParkedBranch[] = [];
  driver: ParticipantDriver<Ledger>;
  private lastRandom = 0;

  constructor(private readonly options: WorldOptions = {}) {
    this.driver = this.newDriver();
  }

  static async started(options: WorldOptions = {}, partitions: readonly number[] = [0, 1, 2, 3]): Promise<World> {
    const world = new World(options);
    await world.start(partitions);
    return world;
  }

  async start(partitions: readonly number[] = [0, 1, 2, 3]): Promise<void> {
    await this.driver.start();
    await this.driver.assigned(partitions);
    await turns();
  }

  /** A new process: nothing but the database is left of the old one, which may stop as it likes. */
  async restart(partitions?: readonly number[]): Promise<void> {
    void this.driver.stop();
    await turns();
    this.transport.sends.length = 0;
    this.driver = this.newDriver();
    await this.start(partitions);
  }

  /** A second process of the same service on the same database, which believes that it owns everything too. */
  async rival(): Promise<ParticipantDriver<Ledger>> {
    const driver = this.newDriver();
    await driver.assigned([0, 1, 2, 3]);
    await turns();
    return driver;
  }

  txid(shard = 0): Txid {
    const random = new Uint8Array(8);
    new DataView(random.buffer).setUint32(4, ++this.lastRandom);
    return makeTxid(shard, this.clock.now(), random);
  }

  /** Delivers, and lets everything happen that needs no clock. */
  async deliver(messages: readonly Message[], partition = 0, to = this.driver): Promise<FakeBatch> {
    const batch = this.hand(messages, partition, to);
    await turns();
    return batch;
  }

  /** Delivers without waiting for anything. */
  hand(messages: readonly Message[], partition = 0, to = this.driver): FakeBatch {
    const batch = new FakeBatch(messages, partition);
    void to.deliver(batch);
    return batch;
  }

  /** Everything sent about the transaction, one word each. */
  said(txid: Txid): readonly string[] {
    return this.transport.messages.flatMap((message) => (message.kind !== 'ANNOUNCE' && message.txid === txid ? [describe(message)] : []));
  }

  private newDriver(): ParticipantDriver<Ledger> {
    const { store, runner, transport, clock } = this;
    const { config, handlers, ...options } = this.options;
    return new ParticipantDriver({
      store, transport, clock, ...(handlers !== 'none' && { runner }),
      config: { ...CONFIG, ...config },
      options: { partitions: PARTITIONS, ...options },
      observer: {
        flushed: (flush) => this.flushes.push(flush),
        parked: (branch) => this.parkings.push(branch),
        unparked: (branch) => this.unparkings.push(branch),
        error: (error, context) => this.errors.push({ error, context }),
      },
    });
  }
}

export const BRANCH = 1;

export function prepare(txid: Txid, payload: Json = { amount: 1 }): Prepare {
  return { kind: 'PREPARE', txid, branch: BRANCH, operation: 'debit', payload, peers: PEERS };
}

export function commit(txid: Txid): Message {
  return { kind: 'COMMIT', txid, branch: BRANCH };
}

export function abort(txid: Txid, ack = false): Message {
  return { kind: 'ABORT', txid, branch: BRANCH, reason: { code: 'CANCELLED' }, ...(ack && { ack }) };
}
