import type { Envelope, Message } from '#libs/protocol';
import type { BranchStore, Clock, InboundBatch, Subscriber, Subscription, Transport } from '../ports.js';
import { Outbox } from '../outbox.js';
import { backoffMs, pause } from '../retry.js';
import { Bell } from './bell.js';
import { Book } from './book.js';
import { after } from './countdown.js';
import { idOf } from './keys.js';
import { Lane, type WorkItem } from './lane.js';
import { NoHandlers } from './no-handlers.js';
import { byPartition, splitByPlace } from './own-site.js';
import { Recovery } from './recovery.js';
import { rolesOf } from './roles/index.js';
import { routeOf } from './roles/routing.js';
import type { Outcome, Work, WorkInput } from './run.js';
import { Settler } from './settle.js';
import { siteConfig, type GivenSiteConfig, type SiteConfig } from './site-config.js';
import { Tally } from './tally.js';
import {
  DEFAULT_PARTICIPANT_OPTIONS,
  type HandlerRunner, type InDoubtBranch, type ParkedBranch, type ParticipantErrorContext, type ParticipantObserver, type ParticipantOptions, type ParticipantStats,
} from './types.js';

export interface ParticipantDriverDeps<Handle> {
  readonly store: BranchStore<Handle>;
  /** Absent: a site without branches, which hosts an acceptor. */
  readonly runner?: HandlerRunner<Handle>;
  readonly transport: Transport;
  readonly clock: Clock;
  readonly config: GivenSiteConfig;
  readonly observer?: ParticipantObserver;
  readonly options: Pick<ParticipantOptions, 'partitions'> & Partial<ParticipantOptions>;
}

/** So often a delivery that brings out a defect of this program is tried before its messages are put aside. */
const ATTEMPTS_AT_DEFECTS = 5;

/**
 * Runs all machines of one site for one service instance: the branches and saga steps of its handlers, and the acceptor and the leader of
 * Paxos Commit. Order of what follows from a delivery: handlers and rows in one local database transaction; then messages; then the offset.
 * A crash between any two repeats what comes before, and rows answer repetitions, so nothing is lost and nothing happens twice.
 */
export class ParticipantDriver<Handle> implements Subscriber {
  private readonly stopping = new AbortController();
  private readonly options: ParticipantOptions;
  private readonly config: SiteConfig;
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
    const { store, transport, clock } = deps;
    const options = (this.options = { ...DEFAULT_PARTICIPANT_OPTIONS, ...deps.options });
    const config = (this.config = siteConfig(deps.config));
    const { signal } = this.stopping;
    const roles = rolesOf(config);
    this.observer = deps.observer ?? {};
    this.book = new Book({ clock, roles, options, observer: this.observer, due: (inputs) => this.enqueue(inputs) });
    this.outbox = new Outbox({ transport, clock, lazyMs: options.lazyMs, maxBatch: options.maxBatch, busy: () => this.lanes.some((lane) => lane.busy), onError: (error) => this.failed(error, { activity: 'send' }) });
    this.lanes = Array.from({ length: options.lanes }, () => new Lane(options, {
      ready: () => this.roomToSend(), process: (items) => this.process(items), failed: (error, attempt, items) => this.defect(error, attempt, items),
    }));
    this.recovery = new Recovery({
      store, clock, options, found: (row) => this.book.recover(row), failed: (error, attempt) => this.failed(error, { activity: 'recovery', attempt }),
    }, signal);
    this.settler = new Settler({
      store, clock, config, roles, runner: deps.runner ?? new NoHandlers(config.name), isParked: (id) => this.book.isParked(id), recall: (id) => this.book.recall(id), expect: (id, txid) => this.book.expect(id, txid),
    }, options, signal, {
      flushed: (flush, outcomes) => {
        this.tally.flushed(flush, outcomes);
        this.follow(outcomes);
        this.observer.flushed?.(flush);
      },
      dropped: (works) => works.forEach(({ id }) => this.book.forget(id)),
      failed: (error, context) => this.failed(error, context),
    });
  }

  /** Joins the participant's inbox, unless `subscribe` is false. */
  async start(): Promise<void> {
    if (!this.options.subscribe) return;
    this.subscription = await this.deps.transport.subscribe({ role: 'participant', name: this.config.name }, this);
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
    const inputs = batch.messages.flatMap((message) => this.inputOf(message, batch));
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
      remembered: this.book.remembered,
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
    const [suspects, others] = [works.filter(hasRetry), works.filter((work) => !hasRetry(work))];
    const outcomes: Outcome[] = [];
    for (const [some, settle] of [[others, 'settle'], [suspects, 'settleSuspects']] as const) {
      const settled = some.length === 0 ? [] : await this.settler[settle](some);
      if (settled === null) return;
      outcomes.push(...settled);
    }
    this.send(outcomes.flatMap(({ messages }) => messages), items);
  }

  private send(envelopes: readonly Envelope[], items: readonly WorkItem[]): void {
    const isHere = ({ message }: Envelope) => !this.stopping.signal.aborted && 'txid' in message && this.book.owns(message.txid);
    const { here, away } = splitByPlace(envelopes, this.config.name, isHere);
    const groups = byPartition(here, this.options.partitions);
    const finish = items.map((item) => after(groups.has(item.partition) ? 2 : 1, () => item.done()));
    this.outbox.push(away, [], () => {
      for (const each of finish) each();
      this.sent.ring();
    });
    for (const [partition, inputs] of groups) {
      const waiting = finish.filter((_, i) => items[i]!.partition === partition);
      void this.laneOf(partition).push({ partition, inputs, done: () => waiting.forEach((each) => each()) });
    }
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

  private follow(outcomes: readonly Outcome[]): void {
    for (const outcome of outcomes) {
      this.book.follow(outcome);
      const { key } = outcome;
      for (const { input, error } of outcome.skipped) {
        this.failed(error, { activity: 'step', txid: key.txid, ...(key.role === 'branch' && { branch: key.branch }), ...(input.kind === 'MESSAGE' && { message: input.message }) });
      }
    }
  }

  /** Work of our own goes through the lane of its partition, like the messages, so that a key is in one transaction only. */
  private enqueue(inputs: WorkItem['inputs']): void {
    for (const [partition, some] of byPartition(inputs, this.options.partitions)) void this.laneOf(partition).push({ partition, inputs: some, done: () => {} });
  }

  private laneOf(partition: number): Lane {
    return this.lanes[partition % this.lanes.length]!;
  }

  private inputOf(message: Message, batch: InboundBatch): WorkItem['inputs'] {
    const route = routeOf(message);
    if (route !== null && message.kind !== 'ANNOUNCE') return [{ ...route, input: { kind: 'MESSAGE', message }, isRetry: false, batch }];
    this.failed(new Error(`${message.kind} is no message for a participant`), { activity: 'step', message });
    return [];
  }

  /** The items are run again, and at last given up: their messages are kept in the dead-letter topic, and the lane goes on. */
  private async defect(error: unknown, attempt: number, items: readonly WorkItem[]): Promise<boolean> {
    this.failed(error, { activity: 'defect', attempt });
    const { options: { retry }, deps: { clock } } = this;
    if (items.length > 1 || attempt + 1 < ATTEMPTS_AT_DEFECTS) {
      await pause(clock, backoffMs(attempt, retry), this.stopping.signal);
      return !this.stopping.signal.aborted;
    }
    for (const item of items) await this.giveUp(item, error instanceof Error ? error : new Error(String(error)));
    return false;
  }

  private async giveUp({ inputs, done }: WorkItem, error: Error): Promise<void> {
    for (const { key, input, batch } of inputs) {
      this.book.forget(idOf(key));
      if (input.kind !== 'MESSAGE') continue;
      const about = { activity: 'dropped', txid: key.txid, message: input.message } as const;
      this.failed(error, about);
      await batch?.deadLetter(input.message, error).catch((cause: unknown) => this.failed(cause, about));
    }
    done();
  }

  private failed(error: unknown, context: ParticipantErrorContext): void {
    if (context.activity === 'transaction') this.tally.retried();
    this.observer.error?.(error, context);
  }

}

function hasRetry({ inputs }: Work): boolean {
  return inputs.some(({ isRetry }) => isRetry);
}

/** One entry per key, its inputs in the order of arrival. */
function worksOf(items: readonly WorkItem[]): readonly Work[] {
  const works = new Map<string, Work & { readonly inputs: WorkInput[] }>();
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
