import { makeTxid, type HandlerVote, type Json, type Message, type Peers, type Prepare, type Txid } from '#libs/protocol';
import type { BranchTransaction } from '../../ports.js';
import { ParticipantDriver } from '../driver.js';
import type {
  HandlerCall, HandlerResult, HandlerRunner, ParkedBranch, ParticipantErrorContext, ParticipantFlush, ParticipantOptions,
} from '../types.js';
import { FakeClock, turns } from './fake-clock.js';
import { FakeBatch, FakeTransport } from './fake-transport.js';
import { MemoryBranchStore, type Ledger } from './memory-branch-store.js';

export const CONFIG = { name: 'payments', inquireAfterMs: 5_000, maxInquireIntervalMs: 20_000, askPeersAfterInquiries: 1 } as const;
export const PARTITIONS = 4;
export const PEERS: Peers = ['orders', 'payments', 'inventory'];

type Handler = (ledger: Ledger, call: HandlerCall) => HandlerVote | void;

/** Runs single handlers under savepoints: reserve on prepare, book on commit, give back on abort, unless replaced. */
export class LedgerRunner implements HandlerRunner<Ledger> {
  /** Calls of every run, in order. */
  readonly runs: (readonly HandlerCall[])[] = [];
  prepare: Handler = (ledger) => {
    ledger.add('reserved', 1);
    return { vote: 'yes', result: { hold: 'h-1' } };
  };
  commit: Handler = (ledger) => ledger.add('booked', 1);
  abort: Handler = (ledger) => ledger.add('reserved', -1);

  get calls(): readonly HandlerCall[] {
    return this.runs.flat();
  }

  async run(tx: BranchTransaction<Ledger>, calls: readonly HandlerCall[]): Promise<readonly HandlerResult[]> {
    this.runs.push(calls);
    const results: HandlerResult[] = [];
    for (const call of calls) results.push(await this.runOne(tx, call));
    return results;
  }

  private async runOne(tx: BranchTransaction<Ledger>, call: HandlerCall): Promise<HandlerResult> {
    try {
      return { ok: true, vote: await tx.savepoint(async () => this.apply(tx.handle, call)) };
    } catch (error) {
      return { ok: false, error };
    }
  }

  private apply(ledger: Ledger, call: HandlerCall): HandlerVote | null {
    if (call.action === 'commit' || call.action === 'abort') {
      this[call.action](ledger, call);
      return null;
    }
    const vote = this.prepare(ledger, call) as HandlerVote;
    if (call.action === 'prepare-and-commit' && vote.vote === 'yes') this.commit(ledger, call);
    return vote;
  }
}

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

  constructor(private readonly options: Partial<ParticipantOptions> = {}, private readonly config: Partial<typeof CONFIG & { rowsKeptMs: number }> = {}) {
    this.driver = this.newDriver();
  }

  static async started(options: Partial<ParticipantOptions> = {}, partitions: readonly number[] = [0, 1, 2, 3]): Promise<World> {
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

  txid(shard = 0): Txid {
    const random = new Uint8Array(8);
    new DataView(random.buffer).setUint32(4, ++this.lastRandom);
    return makeTxid(shard, this.clock.now(), random);
  }

  /** Delivers, and lets everything happen that needs no clock. */
  async deliver(messages: readonly Message[], partition = 0): Promise<FakeBatch> {
    const batch = this.hand(messages, partition);
    await turns();
    return batch;
  }

  /** Delivers without waiting for anything. */
  hand(messages: readonly Message[], partition = 0): FakeBatch {
    const batch = new FakeBatch(messages, partition);
    void this.driver.deliver(batch);
    return batch;
  }

  /** Everything sent about the transaction, one word each. */
  said(txid: Txid): readonly string[] {
    return this.transport.messages.flatMap((message) => (message.kind !== 'ANNOUNCE' && message.txid === txid ? [describe(message)] : []));
  }

  private newDriver(): ParticipantDriver<Ledger> {
    const { store, runner, transport, clock } = this;
    return new ParticipantDriver({
      store, runner, transport, clock,
      config: { ...CONFIG, ...this.config },
      options: { partitions: PARTITIONS, ...this.options },
      observer: {
        flushed: (flush) => this.flushes.push(flush),
        parked: (branch) => this.parkings.push(branch),
        unparked: (branch) => this.unparkings.push(branch),
        error: (error, context) => this.errors.push({ error, context }),
      },
    });
  }
}

function describe(message: Message): string {
  switch (message.kind) {
    case 'VOTE':
      return `VOTE ${message.vote}${message.reason ? ` ${message.reason.code}` : ''}`;
    case 'ONE_PHASE_OUTCOME':
      return `ONE_PHASE_OUTCOME ${message.outcome}`;
    case 'PEER_STATE':
      return `PEER_STATE ${message.state}`;
    default:
      return message.kind;
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
