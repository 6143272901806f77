import { type Envelope, type Message, type ProtocolMessage, protocolOf, shardOf, type ToCoordinator, type ToParticipant } from '#libs/protocol';
import type { InboundBatch, Inbox, OutcomeEvent, Subscriber, Subscription, Transport } from '../ports.js';
import { Site } from './site.js';

/** Answers the messages of two-phase commit that one participant gets. */
export type Participant = (message: ToParticipant) => readonly ToCoordinator[];

interface Parcel {
  readonly messages: readonly Message[];
  isDone: boolean;
}

/** Says yes to everything and acknowledges every decision. */
export const willing: Participant = (message) => {
  const { txid, branch } = message;
  switch (message.kind) {
    case 'PREPARE':
      return [{ kind: 'VOTE', txid, branch, vote: 'yes' }];
    case 'COMMIT':
      return [{ kind: 'ACK', txid, branch }];
    case 'ABORT':
      return message.ack === true ? [{ kind: 'ACK', txid, branch }] : [];
    case 'PREPARE_AND_COMMIT':
      return [{ kind: 'ONE_PHASE_OUTCOME', txid, branch, outcome: 'committed' }];
    case 'ABORT_ONE_PHASE':
      return [{ kind: 'ONE_PHASE_OUTCOME', txid, branch, outcome: 'aborted', reason: message.reason }];
    default:
      return [];
  }
};

/** As `willing`, but votes no. */
export const refusing: Participant = (message) => {
  if (message.kind !== 'PREPARE') return willing(message);
  return [{ kind: 'VOTE', txid: message.txid, branch: message.branch, vote: 'no', reason: { code: 'OUT_OF_STOCK' } }];
};

export const silent: Participant = () => [];

/** The coordinator inbox with scripted participants behind it. Tests say who owns which partition; what is not done is read again by the next owner. */
export class FakeBus implements Transport {
  /** Everything that was acknowledged. */
  readonly sent: Envelope[] = [];
  readonly outcomes: OutcomeEvent[] = [];
  readonly deadLetters: { readonly message: Message; readonly error: Error }[] = [];
  sends = 0;
  isHealthy = true;
  /** The topic of outcomes is away: messages arrive, outcome events do not, and no send that has any is acknowledged. */
  refusesOutcomes = false;
  private fault: Error | null = null;
  private readonly participants = new Map<string, Participant>();
  private readonly sites = new Map<string, Site>();
  private readonly logs = new Map<number, Parcel[]>();
  private readonly owners = new Map<number, Subscriber>();

  /** Every send fails until `up`. */
  down(): void {
    this.fault = new Error('the broker is down');
  }

  up(): void {
    this.fault = null;
  }

  participant(name: string, behaviour: Participant): this {
    this.participants.set(name, behaviour);
    return this;
  }

  /** Where the other protocols' messages to that participant, or acceptor, go. */
  site(name: string): Site {
    const site = this.sites.get(name) ?? new Site(name);
    this.sites.set(name, site);
    return site;
  }

  sentOf(kind: Message['kind']): readonly Envelope[] {
    return this.sent.filter(({ message }) => message.kind === kind);
  }

  /** Batches of the partition that are not done. */
  undone(partition: number): number {
    return (this.logs.get(partition) ?? []).filter((parcel) => !parcel.isDone).length;
  }

  /** A rebalance: partitions go to this subscriber and leave whoever had them, without the loser being told. */
  async assign(subscriber: Subscriber, partitions: readonly number[]): Promise<void> {
    for (const [partition, owner] of this.owners) if (owner === subscriber) this.owners.delete(partition);
    for (const partition of partitions) this.owners.set(partition, subscriber);
    await subscriber.assigned(partitions);
    for (const partition of partitions) for (const parcel of this.logs.get(partition) ?? []) this.hand(partition, parcel);
  }

  /** Puts messages into a partition of the coordinator inbox. */
  post(partition: number, messages: readonly Message[]): void {
    const log = this.logs.get(partition) ?? [];
    this.logs.set(partition, log);
    const parcel = { messages, isDone: false };
    log.push(parcel);
    this.hand(partition, parcel);
  }

  async send(envelopes: readonly Envelope[], outcomes: readonly OutcomeEvent[] = []): Promise<void> {
    await new Promise((resolve) => setImmediate(resolve));
    if (this.fault !== null) throw this.fault;
    this.sends++;
    this.sent.push(...envelopes);
    this.deliver(envelopes);
    if (outcomes.length > 0 && this.refusesOutcomes) throw new Error('the topic of outcomes is away');
    this.outcomes.push(...outcomes);
  }

  private deliver(envelopes: readonly Envelope[]): void {
    const replies = new Map<number, ProtocolMessage[]>();
    for (const envelope of envelopes) {
      for (const reply of this.replies(envelope)) {
        const partition = shardOf(reply.txid);
        replies.set(partition, [...(replies.get(partition) ?? []), reply]);
      }
    }
    for (const [partition, messages] of replies) this.post(partition, messages);
  }

  /** What comes back to the coordinator; what sites tell each other has arrived by then. */
  private replies({ to, message }: Envelope): readonly ProtocolMessage[] {
    if (to.role === 'coordinator' || message.kind === 'ANNOUNCE') return [];
    if (protocolOf(message) === '2pc') return this.participants.get(to.name)?.(message as ToParticipant) ?? [];
    return this.site(to.name).receive(message, 1_700_000_000_000).flatMap((reply) => (
      reply.to.role === 'coordinator' ? [reply.message] : this.replies(reply)
    ));
  }

  async subscribe(_inbox: Inbox, _subscriber: Subscriber): Promise<Subscription> {
    return { close: async () => {} };
  }

  healthy(): boolean {
    return this.isHealthy;
  }

  async close(): Promise<void> {}

  private hand(partition: number, parcel: Parcel): void {
    const owner = this.owners.get(partition);
    if (owner === undefined || parcel.isDone) return;
    const batch: InboundBatch = {
      partition,
      messages: parcel.messages,
      done: () => {
        parcel.isDone = true;
      },
      deadLetter: async (message, error) => {
        this.deadLetters.push({ message, error });
      },
    };
    setImmediate(() => {
      if (this.owners.get(partition) === owner) void owner.deliver(batch);
    });
  }
}
