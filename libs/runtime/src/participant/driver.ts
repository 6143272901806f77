import type { Message, ParticipantConfig, ToParticipant } from '#libs/protocol';
import type { BranchStore, Clock, InboundBatch, Subscriber, Subscription, Transport } from '../ports.js';
import { Outbox } from '../outbox.js';
import { pause } from '../retry.js';
import { Bell } from './bell.js';
import { Book, type BookEvents } from './book.js';
import type { BranchInput, BranchOutcome, BranchWork } from './branch-run.js';
import { idOf, partitionOf } from './keys.js';
import { Lane, type WorkItem } from './lane.js';
import { Recovery } from './recovery.js';
import { Settler } from './settle.js';
import { Tally } from './tally.js';
import {
  DEFAULT_PARTICIPANT_OPTIONS,
  type HandlerRunner, type InDoubtBranch, type ParkedBranch, type ParticipantErrorContext, type ParticipantObserver, type ParticipantOptions, type ParticipantStats,
} from './types.js';

export interface ParticipantDriverDeps<Handle> {
  readonly store: BranchStore<Handle>;
  readonly runner: HandlerRunner<Handle>;
  readonly transport: Transport;
  readonly clock: Clock;
  readonly config: ParticipantConfig;
  readonly observer?: ParticipantObserver;
  readonly options: Pick<ParticipantOptions, 'partitions'> & Partial<ParticipantOptions>;
}

/**
 * Runs the participant's machine for one service instance. Order of what follows from a delivery: handlers and branch rows in
 * one local database transaction; then votes and acknowledgements; then the offset. A crash between any two repeats what comes
 * before, and rows answer repetitions, so nothing is lost and nothing happens twice.
 */
export class ParticipantDriver<Handle> implements Subscriber {
  private readonly stopping = new AbortController();
  private readonly options: ParticipantOptions;
  private readonly observer: ParticipantObserver;
  private readonly book: Book;
  private readonly lanes: readonly Lane[];
  private readonly outbox: Outbox;
  private readonly recovery: Recovery;
  private readonly settler: Settler<Handle>;
  private readonly tally = new Tally();
  private readonly sent = new Bell();
  private subscription: Subscription | null = null;
  private stopped: Promise<void> | null = null;
  private drained: Promise<void> = Promise.resolve();

  constructor(private readonly deps: ParticipantDriverDeps<Handle>) {
    const { store, transport, clock, config } = deps;
    const options = (this.options = { ...DEFAULT_PARTICIPANT_OPTIONS, ...deps.options });
    const { signal } = this.stopping;
    this.observer = deps.observer ?? {};
    this.book = new Book({
      clock, config, options, observer: this.observer,
      events: { inquiriesDue: (due) => this.enqueueInquiries(due), retriesDue: (triggers) => this.enqueueRetries(triggers) },
    });
    this.outbox = new Outbox({ transport, clock, lazyMs: options.lazyMs, maxBatch: options.maxBatch, busy: () => this.lanes.some((lane) => lane.busy), onError: (error) => this.failed(error, { activity: 'send' }) });
    this.lanes = Array.from({ length: options.lanes }, () => new Lane(options, () => this.roomToSend(), (items) => this.process(items)));
    this.recovery = new Recovery({
      store, clock, options, found: (row) => this.book.recover(row), failed: (error, attempt) => this.failed(error, { activity: 'recovery', attempt }),
    }, signal);
    this.settler = new Settler({ ...deps, isParked: (id) => this.book.isParked(id) }, options, signal, {
      flushed: (flush, outcomes) => {
        this.tally.flushed(flush, outcomes);
        this.observer.flushed?.(flush);
      },
      failed: (error, context) => this.failed(error, context),
    });
  }

  /** Joins the participant's inbox, unless `subscribe` is false. */
  async start(): Promise<void> {
    if (!this.options.subscribe) return;
    this.subscription = await this.deps.transport.subscribe({ role: 'participant', name: this.deps.config.name }, this);
  }

  /**
   * Finishes the database transactions in flight, sends what follows from them, and leaves. What waits is delivered to the next
   * owner. A database that does not answer does not hold it up, a broker for `drainMs` at most: nothing that was not sent is marked as done.
   */
  stop(): Promise<void> {
    return (this.stopped ??= this.shutDown());
  }

  async assigned(partitions: readonly number[]): Promise<void> {
    if (this.stopping.signal.aborted) return;
    const gained = partitions.some((partition) => !this.book.owned.includes(partition));
    this.book.own(partitions);
    for (const lane of this.lanes) lane.keep((partition) => partitions.includes(partition));
    if (gained) this.recovery.request();
  }

  async deliver(batch: InboundBatch): Promise<void> {
    // The next owner gets it; a rejection would only make the transport deliver it here again and again until we have left.
    if (this.stopping.signal.aborted) return this.drained;
    const inputs = batch.messages.flatMap((message) => (
      this.isOurs(message) ? [{ key: { txid: message.txid, branch: message.branch }, input: { kind: 'MESSAGE', message }, isRetry: false, batch } as const] : []
    ));
    await this.laneOf(batch.partition).push({ partition: batch.partition, inputs, done: () => batch.done() });
  }

  /** Branches that have voted YES and wait for the decision, oldest first; of the partitions owned. */
  inDoubt(): readonly InDoubtBranch[] {
    return this.book.inDoubt();
  }

  /** Branches whose decision could not be applied yet, oldest first; of the partitions owned. */
  parked(): readonly ParkedBranch[] {
    return this.book.parked();
  }

  stats(): ParticipantStats {
    const inDoubt = this.book.inDoubt();
    return {
      ...this.tally.counts,
      queued: this.lanes.reduce((sum, lane) => sum + lane.queued, 0),
      unsent: this.outbox.unsent,
      inDoubt: inDoubt.length,
      blocked: inDoubt.filter(({ blocked }) => blocked).length,
      parked: this.book.parked().length,
      partitions: this.book.owned,
    };
  }

  private async shutDown(): Promise<void> {
    this.stopping.abort();
    this.sent.ring();
    this.drained = this.drain();
    await this.drained;
    await this.subscription?.close();
    this.book.close();
  }

  private async process(items: readonly WorkItem[]): Promise<void> {
    const works = worksOf(items);
    const outcomes = works.length === 0 ? [] : await this.settler.settle(works);
    if (outcomes === null) return;
    this.follow(works, outcomes);
    this.outbox.push(outcomes.flatMap(({ messages }) => messages), [], () => {
      for (const item of items) item.done();
      this.sent.ring();
    });
  }

  /** Holds the next database transaction back while the transport does not take what the earlier ones owe. */
  private async roomToSend(): Promise<void> {
    while (this.outbox.unsent >= this.options.maxQueued && !this.stopping.signal.aborted) await this.sent.wait();
  }

  private async drain(): Promise<void> {
    await Promise.all([...this.lanes.map((lane) => lane.close()), this.recovery.close()]);
    const empty = new AbortController();
    await Promise.race([this.outbox.drain(), pause(this.deps.clock, this.options.drainMs, empty.signal)]);
    empty.abort();
    await this.outbox.close();
  }

  private follow(works: readonly BranchWork[], outcomes: readonly BranchOutcome[]): void {
    if (outcomes.length < works.length) {
      const processed = new Set(outcomes.map(({ work }) => work.id));
      for (const { id } of works) if (!processed.has(id)) this.book.forget(id);
    }
    for (const outcome of outcomes) {
      this.book.follow(outcome);
      const { txid, branch } = outcome.work.key;
      for (const { input, error } of outcome.skipped) this.failed(error, { activity: 'step', txid, branch, ...(input.kind === 'MESSAGE' && { message: input.message }) });
    }
  }

  private enqueueInquiries(due: Parameters<BookEvents['inquiriesDue']>[0]): void {
    this.enqueue(due.map(({ txid, branch, attempt }) => ({
      key: { txid, branch }, input: { kind: 'TIMER', timer: 'inquire', attempt }, isRetry: false, batch: null,
    })));
  }

  private enqueueRetries(triggers: readonly ToParticipant[]): void {
    this.enqueue(triggers.map((message) => ({
      key: { txid: message.txid, branch: message.branch }, input: { kind: 'MESSAGE', message }, isRetry: true, batch: null,
    })));
  }

  /** Work of our own goes through the lane of its partition, like the messages, so that a branch is in one transaction only. */
  private enqueue(inputs: WorkItem['inputs']): void {
    const byPartition = new Map<number, WorkItem['inputs'][number][]>();
    for (const input of inputs) {
      const partition = partitionOf(input.key.txid, this.options.partitions);
      const some = byPartition.get(partition);
      if (some) some.push(input);
      else byPartition.set(partition, [input]);
    }
    for (const [partition, some] of byPartition) void this.laneOf(partition).push({ partition, inputs: some, done: () => {} });
  }

  private laneOf(partition: number): Lane {
    return this.lanes[partition % this.lanes.length]!;
  }

  private isOurs(message: Message): message is ToParticipant {
    if (FOR_PARTICIPANTS.has(message.kind)) return true;
    this.failed(new Error(`${message.kind} is no message for a participant`), { activity: 'step', message });
    return false;
  }

  private failed(error: unknown, context: ParticipantErrorContext): void {
    if (context.activity === 'transaction') this.tally.retried();
    this.observer.error?.(error, context);
  }
}

const FOR_PARTICIPANTS: ReadonlySet<Message['kind']> = new Set<ToParticipant['kind']>([
  'PREPARE', 'PREPARE_AND_COMMIT', 'COMMIT', 'ABORT', 'ABORT_ONE_PHASE', 'PEER_INQUIRY', 'PEER_STATE',
]);

/** One entry per branch, its inputs in the order of arrival. */
function worksOf(items: readonly WorkItem[]): readonly BranchWork[] {
  const works = new Map<string, BranchWork & { readonly inputs: BranchInput[] }>();
  for (const { inputs } of items) {
    for (const input of inputs) {
      const id = idOf(input.key);
      const work = works.get(id);
      if (work) work.inputs.push(input);
      else works.set(id, { id, key: input.key, inputs: [input] });
    }
  }
  return [...works.values()];
}
