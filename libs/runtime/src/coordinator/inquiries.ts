import type { Abort, Commit, Envelope, Inquiry, ProtocolMessage, Txid } from '#libs/protocol';
import { ReasonCode } from '#libs/protocol';
import { Gather } from '../gather.js';
import type { Outbox } from '../outbox.js';
import type { Clock, CoordinatorStore, RegisterEntry, StoredTransaction } from '../ports.js';
import { backoffMs, QUICK_BACKOFF } from '../retry.js';
import type { Protocols } from './protocols/index.js';
import type { Ticket } from './ticket.js';
import type { CoordinatorObserver } from './types.js';

/** A message about a transaction that is not in memory, and that somebody waits for an answer to. */
export interface OpenInquiry<M extends ProtocolMessage = ProtocolMessage> {
  readonly message: M;
  readonly ticket: Ticket;
}

export interface InquiryDeps {
  readonly store: CoordinatorStore;
  readonly clock: Clock;
  readonly outbox: Outbox;
  readonly observer: CoordinatorObserver;
  readonly maxBatch: number;
  readonly protocols: Protocols;
}

/** What waits here at most, in batches: while the store is away the rest is let go, and asked again. */
const MAX_BATCHES = 4;

/** Answers from the tables, in batches, what no memory can answer. */
export class InquiryDesk {
  private readonly presuming: Gather<OpenInquiry<Inquiry>>;
  private readonly lookingUp: Gather<OpenInquiry>;

  constructor(private readonly deps: InquiryDeps) {
    const { clock, maxBatch } = deps;
    this.presuming = new Gather({ clock, maxBatch, work: (batch) => this.presumeAbort(batch), onError: this.retry('presume abort') });
    this.lookingUp = new Gather({ clock, maxBatch, work: (batch) => this.lookUp(batch), onError: this.retry('look up') });
  }

  /**
   * Of 2pc: answered only after the register holds a decision, which is ABORT if nobody has decided before (Mohan, Lindsay, Obermarck
   * 1986, "The presumed abort protocol").
   */
  presume(inquiry: OpenInquiry<Inquiry>): void {
    this.put(this.presuming, inquiry);
  }

  /** Of the others: answered if the transaction has ended. Nothing is presumed, and nothing kept. */
  ask(inquiry: OpenInquiry): void {
    this.put(this.lookingUp, inquiry);
  }

  async idle(): Promise<void> {
    await Promise.all([this.presuming.idle(), this.lookingUp.idle()]);
  }

  async close(): Promise<void> {
    await Promise.all([this.presuming.close(), this.lookingUp.close()]);
  }

  private put<M extends ProtocolMessage>(desk: Gather<OpenInquiry<M>>, inquiry: OpenInquiry<M>): void {
    if (desk.queued >= MAX_BATCHES * this.deps.maxBatch) return;
    inquiry.ticket.hold();
    desk.add(inquiry);
  }

  private async presumeAbort(batch: readonly OpenInquiry<Inquiry>[]): Promise<void> {
    const { store, clock } = this.deps;
    const register = await store.presumeAbort(txidsOf(batch), clock.now());
    this.send(batch, batch.flatMap(({ message }) => answer(message, register.get(message.txid))));
  }

  private async lookUp(batch: readonly OpenInquiry[]): Promise<void> {
    const stored = await this.deps.store.lookUp(txidsOf(batch));
    this.send(batch, batch.flatMap((inquiry) => this.answerFrom(stored.get(inquiry.message.txid), inquiry)));
  }

  private answerFrom(stored: StoredTransaction | undefined, { message, ticket }: OpenInquiry): readonly Envelope[] {
    const { protocols, clock, observer } = this.deps;
    // One without END is its owner's to answer for.
    if (stored === undefined || stored.end === null) return [];
    const { protocol } = stored.begin.spec;
    try {
      if (!('protocol' in message) || message.protocol !== protocol) throw new TypeError(`${message.txid} is a transaction of ${protocol}`);
      return protocols[protocol].answerEnded(stored, message, clock.now());
    } catch (error) {
      ticket.bury(message, error as Error, observer);
      return [];
    }
  }

  private send(batch: readonly OpenInquiry[], answers: readonly Envelope[]): void {
    this.deps.outbox.push(answers, [], () => {
      for (const { ticket } of batch) ticket.release();
    });
  }

  private retry(context: string): (error: unknown, attempt: number) => number {
    return (error, attempt) => {
      this.deps.observer.error(error, context);
      return backoffMs(attempt, QUICK_BACKOFF);
    };
  }
}

function txidsOf(batch: readonly OpenInquiry[]): readonly Txid[] {
  return [...new Set(batch.map(({ message }) => message.txid))];
}

/** Nothing, where the store can tell nothing any more: what is cleaned up may have been committed. */
function answer({ txid, branch, participant }: Inquiry, entry: RegisterEntry | undefined): readonly Envelope<Commit | Abort>[] {
  if (entry === undefined) return [];
  const to = { role: 'participant', name: participant } as const;
  if (entry.decision === 'COMMIT') return [{ to, message: { kind: 'COMMIT', txid, branch } }];
  return [{ to, message: { kind: 'ABORT', txid, branch, reason: entry.reason ?? { code: ReasonCode.NO_RECORD } } }];
}
