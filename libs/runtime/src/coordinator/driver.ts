import type { Announce, Txid } from '#libs/protocol';
import { Outbox } from '../outbox.js';
import type { Clock, CoordinatorStore, InboundBatch, OverloadCode, Subscriber, Subscription, TimelineEvent, TransactionView, Transport } from '../ports.js';
import { pause } from '../retry.js';
import { type DueTimer, Timers } from '../timers.js';
import { Admission, participantsOf } from './admission.js';
import type { CoordinatorContext } from './context.js';
import { noShard, overloadError, stopped, storeUnavailable, transportUnavailable } from './errors.js';
import { InquiryDesk } from './inquiries.js';
import { Lane } from './lane.js';
import { Lingering } from './lingering.js';
import { safeObserver } from './observer.js';
import { protocolsFor } from './protocols/index.js';
import type { ActInput } from './protocols/protocol.js';
import { ShardTable } from './shard-table.js';
import { TransactionTable, Waiters } from './transaction.js';
import { TxidMaker } from './txid-maker.js';
import {
  type BeginRequest, type BeginResult, COORDINATOR_DEFAULTS, type CoordinatorObserver, type CoordinatorOptions, type CoordinatorStats, type ShardStatus, zeroCounters,
} from './types.js';
import { viewOf } from './view.js';

export interface CoordinatorDeps {
  readonly store: CoordinatorStore;
  readonly transport: Transport;
  readonly clock: Clock;
  readonly observer?: Partial<CoordinatorObserver>;
  readonly options: Pick<CoordinatorOptions, 'instance'> & Partial<CoordinatorOptions>;
  /** Must not reject for long: announcements are repeated by their senders, so a rejected one is only reported. */
  onAnnounce(messages: readonly Announce[]): Promise<void>;
  /** Puts randomness into all bytes, for txids; default: the system's. A simulation gives its own. */
  readonly randomFill?: (bytes: Uint8Array) => void;
}

/** While sends fail, repetitions wait this long instead of piling up in the outbox. */
const STALLED_RESEND_MS = 1_000;
/** Timers that are no repetition. */
const DEADLINES: ReadonlySet<string> = new Set(['prepare-timeout', 'deadline']);

/**
 * Runs the coordinators of all protocols for the shards of one process. A Subscriber of the coordinator inbox: either `start` subscribes
 * it, or whoever reads the inbox calls `assigned` and `deliver`.
 */
export class CoordinatorDriver implements Subscriber {
  private readonly context: CoordinatorContext;
  private readonly lanes: Lane[] = [];
  private readonly closing = new AbortController();
  private readonly transport: Transport;
  private subscription: Subscription | null = null;
  private stopping: Promise<void> | null = null;
  private rotation = 0;

  constructor(deps: CoordinatorDeps) {
    const { store, transport, clock } = deps;
    const options = { ...COORDINATOR_DEFAULTS, ...deps.options };
    const observer = safeObserver(deps.observer ?? {});
    const { lazyMs, maxBatch, lingerMs, lingerMax } = options;
    const lingering: Lingering = new Lingering({ clock, lingerMs, lingerMax, forget: (transaction) => shards.forget(transaction) });
    const outbox = new Outbox({ transport, clock, lazyMs, maxBatch, busy: () => this.lanes.some((lane) => lane.busy), onError: (error) => observer.error(error, 'send') });
    const protocols = protocolsFor(options);
    const admission = new Admission(clock, options);
    const shared = {
      store, clock, options, observer, lingering, outbox, protocols, admission,
      table: new TransactionTable(admission), waiters: new Waiters(clock), counters: zeroCounters(), closing: this.closing.signal,
      timers: new Timers<string>(clock, (due) => this.fire(due)),
    };
    const shards: ShardTable = new ShardTable(shared, this.lanes);
    this.transport = transport;
    this.context = {
      ...shared, shards, txids: new TxidMaker(deps.randomFill), inquiries: new InquiryDesk({ store, clock, outbox, observer, maxBatch, protocols }),
      onAnnounce: async (messages) => deps.onAnnounce(messages),
    };
    for (let index = 0; index < options.lanes; index++) this.lanes.push(new Lane(index, this.context));
  }

  /** Subscribes to the coordinator inbox; shards come by assignment. */
  async start(): Promise<void> {
    this.subscription = await this.transport.subscribe({ role: 'coordinator' }, this);
  }

  /** Refuses new work, waits up to `drainMs` for outcomes, leaves the group, finishes what is in flight, lets go of all shards. */
  stop(): Promise<void> {
    this.stopping ??= this.shutDown();
    return this.stopping;
  }

  // ---------------------------------------------------------------- requests

  /**
   * Resolves when BEGIN is durable, or names the transaction that has the idempotency key.
   * @throws UnavailableError (as a rejection): nothing of the request will ever commit
   */
  begin(request: BeginRequest): Promise<BeginResult> {
    const participants = participantsOf(request);
    const lane = this.admit(participants);
    if (lane instanceof Error) {
      this.context.counters.refused++;
      return Promise.reject(lane);
    }
    this.context.admission.enter(participants);
    const sinceMs = this.context.clock.elapsed();
    return new Promise((resolve, reject) => lane.add({ kind: 'begin', request, pending: { resolve, reject, sinceMs, participants } }));
  }

  /** Why a begin that names these participants would be refused now because of too much work; then it counts as refused. */
  overload(participants: readonly string[]): OverloadCode | null {
    const { table, admission, counters } = this.context;
    const refusal = admission.check(participants, table.inFlight + this.queuedBegins());
    if (refusal !== null) counters.refused++;
    return refusal?.code ?? null;
  }

  /** The view when `until` is reached, or as it is after `timeoutMs`; null when the transaction is not, or no longer, in this memory. */
  settled(txid: Txid, until: 'decided' | 'finished', timeoutMs: number): Promise<TransactionView | null> {
    const transaction = this.context.table.get(txid);
    return transaction === undefined ? Promise.resolve(null) : this.context.waiters.wait(transaction, until, timeoutMs);
  }

  /** From memory, where finished ones linger briefly. */
  view(txid: Txid): TransactionView | null {
    const transaction = this.context.table.get(txid);
    return transaction === undefined ? null : viewOf(transaction);
  }

  /** What has happened since this process has had the transaction; what earlier owners did is in the durable rows. */
  timeline(txid: Txid): readonly TimelineEvent[] | null {
    return this.context.table.get(txid)?.timeline.events ?? null;
  }

  /** Resolves when the effect is durable, or with the view as it is if the store, or the broker, is out of reach; null: not in this memory. */
  act(txid: Txid, input: ActInput): Promise<TransactionView | null> {
    const transaction = this.context.table.get(txid);
    if (transaction === undefined || this.closing.signal.aborted) return Promise.resolve(null);
    return new Promise((resolve) => transaction.shard.lane.add({ kind: 'act', transaction, input, resolve }));
  }

  shards(): readonly ShardStatus[] {
    return this.context.shards.status();
  }

  stats(): CoordinatorStats {
    const { table, counters, lingering, outbox, admission } = this.context;
    return {
      ...counters,
      inFlight: table.inFlight,
      undecided: table.undecided,
      queued: this.lanes.reduce((sum, lane) => sum + lane.queued, 0),
      lingering: lingering.size,
      unsent: outbox.unsent,
      storeStalled: this.lanes.some((lane) => lane.stalled),
      transportStalled: this.transportStalled(),
      participants: admission.loads(),
    };
  }

  // ---------------------------------------------------------------- inbox

  assigned(partitions: readonly number[]): Promise<void> {
    return this.closing.signal.aborted ? Promise.resolve() : this.context.shards.assigned(partitions);
  }

  async deliver(batch: InboundBatch): Promise<void> {
    const shard = this.context.shards.get(batch.partition);
    // Taken away while the delivery was under way: the next owner reads it.
    if (shard === undefined) return;
    if (shard.state === 'fenced') {
      shard.undone.add(batch);
      return shard.over;
    }
    shard.lane.add({ kind: 'batch', batch, shard });
    if (shard.early.length > this.context.options.maxBatch) await Promise.race([shard.recovery, shard.over]);
    await shard.lane.room();
  }

  // ---------------------------------------------------------------- inside

  private admit(participants: readonly string[]): Lane | Error {
    const { table, options, shards, admission } = this.context;
    if (this.stopping !== null) return stopped();
    const working: Lane[] = [];
    let ownsAny = false;
    for (const lane of this.lanes) {
      if (shards.ofLane(lane).length === 0) continue;
      ownsAny = true;
      if (!lane.stalled) working.push(lane);
    }
    if (!ownsAny) return noShard();
    if (this.transportStalled()) return transportUnavailable();
    if (working.length === 0) return storeUnavailable(options.storeFaultGraceMs);
    const refusal = admission.check(participants, table.inFlight + this.queuedBegins());
    return refusal === null ? this.leastBusy(working) : overloadError(refusal);
  }

  private queuedBegins(): number {
    return this.lanes.reduce((sum, lane) => sum + lane.queuedBegins, 0);
  }

  private leastBusy(lanes: readonly Lane[]): Lane {
    const first = this.rotation++ % lanes.length;
    let best = lanes[first]!;
    for (const lane of lanes) if (lane.queued < best.queued) best = lane;
    return best;
  }

  private transportStalled(): boolean {
    const { outbox, clock, options } = this.context;
    if (!this.transport.healthy()) return true;
    return outbox.failingSinceMs !== null && clock.elapsed() - outbox.failingSinceMs >= options.storeFaultGraceMs;
  }

  private fire(due: readonly DueTimer<string>[]): void {
    const { table, timers, clock, outbox } = this.context;
    const byLane = new Map<Lane, DueTimer<string>[]>();
    for (const timer of due) {
      const transaction = table.get(timer.key as Txid);
      if (transaction === undefined) continue;
      if (!DEADLINES.has(timer.name) && outbox.failingSinceMs !== null) {
        timers.setAt(timer.key, timer.name, clock.elapsed() + STALLED_RESEND_MS, timer.attempt);
        continue;
      }
      const { lane } = transaction.shard;
      const timersOfLane = byLane.get(lane);
      if (timersOfLane === undefined) byLane.set(lane, [timer]);
      else timersOfLane.push(timer);
    }
    for (const [lane, timersOfLane] of byLane) lane.add({ kind: 'timers', due: timersOfLane });
  }

  /** Twice `drainMs` at most, whatever is out of reach: what is unfinished goes on at the next owner. */
  private async shutDown(): Promise<void> {
    const { table, outbox, inquiries, shards, timers, lingering, observer } = this.context;
    const quiet = this.drain().then(() => new Promise<void>((resolve) => table.whenQuiet(resolve)));
    // What is out of reach now is not worth waiting for: no outcome can be reached, or told, without it.
    if (!this.isCutOff()) await this.within(quiet.then(() => this.drain()));
    // Offsets of what is done and sent by now are saved on leaving.
    const left = this.subscription?.close().catch((error: unknown) => observer.error(error, 'leave the group'));
    await this.within(Promise.all([left, this.drain()]));
    this.closing.abort();
    shards.close();
    timers.clear();
    lingering.close();
    await Promise.all([outbox.close(), inquiries.close(), ...this.lanes.map((lane) => lane.halt())]);
  }

  private isCutOff(): boolean {
    return this.context.outbox.failingSinceMs !== null || !this.transport.healthy() || this.lanes.some((lane) => lane.stalled);
  }

  private async drain(): Promise<void> {
    await Promise.all(this.lanes.map((lane) => lane.drain()));
    await this.context.inquiries.idle();
    await this.context.outbox.drain();
    // ENDs that have waited for their outcome events.
    await Promise.all(this.lanes.map((lane) => lane.drain()));
  }

  private async within(work: Promise<unknown>): Promise<void> {
    const done = new AbortController();
    await Promise.race([work.finally(() => done.abort()), pause(this.context.clock, this.context.options.drainMs, done.signal)]);
  }
}
