import { type Address, type Envelope, type Message, shardOf } from '#libs/protocol';
import { PARTICIPANT_NAME } from './codec/fields.js';
import { encodeRecords } from './codec/record.js';
import type { DeadLetter } from './inbox/dead-letter.js';
import type { TopicNames } from './topics.js';

/** One inbox record that is ready to be written. */
export interface RoutedRecord {
  readonly topic: string;
  readonly partition: number;
  readonly value: Buffer;
}

/** Partition counts by topic; a topic that is missing here does not exist. */
export type PartitionCounts = ReadonlyMap<string, number>;

export interface Routed {
  readonly records: readonly RoutedRecord[];
  /** Messages to participants that have no inbox: nobody has ever served them under that name. */
  readonly undeliverable: readonly Envelope[];
}

/** The inbox topic of an address, or null when the name cannot be that of a participant. */
export function topicOf(to: Address, topics: TopicNames): string | null {
  if (to.role === 'coordinator') return topics.coordinatorInbox;
  return PARTICIPANT_NAME.test(to.name) ? topics.participantInbox(to.name) : null;
}

/** Sorts envelopes by (topic, partition), keeping their order within each, and writes each group into as few records as possible. */
export class Router {
  private announcements = 0;

  constructor(private readonly topics: TopicNames, private readonly sender: string) {}

  /** The topics that the envelopes are addressed to. */
  destinations(envelopes: readonly Envelope[]): ReadonlySet<string> {
    const found = new Set<string>();
    for (const { to } of envelopes) {
      const topic = topicOf(to, this.topics);
      if (topic !== null) found.add(topic);
    }
    return found;
  }

  /** @throws MessageTooLargeError */
  route(envelopes: readonly Envelope[], partitions: PartitionCounts): Routed {
    const groups = new Map<string, Map<number, Message[]>>();
    const undeliverable: Envelope[] = [];
    for (const envelope of envelopes) {
      const topic = topicOf(envelope.to, this.topics);
      const count = topic === null ? undefined : partitions.get(topic);
      if (topic === null || count === undefined) undeliverable.push(envelope);
      else groupOf(groups, topic, this.partitionOf(envelope.message, count)).push(envelope.message);
    }
    const records: RoutedRecord[] = [];
    for (const [topic, byPartition] of groups) {
      for (const [partition, messages] of byPartition) {
        for (const value of encodeRecords(this.sender, messages)) records.push({ topic, partition, value });
      }
    }
    return { records, undeliverable };
  }

  /**
   * Of a transaction: its shard, modulo, so that a txid made under another shard count (or forged) still has a place and
   * cannot block its sender. Announcements belong to no transaction and take turns.
   */
  private partitionOf(message: Message, count: number): number {
    return (message.kind === 'ANNOUNCE' ? this.announcements++ : shardOf(message.txid)) % count;
  }
}

function groupOf(groups: Map<string, Map<number, Message[]>>, topic: string, partition: number): Message[] {
  let byPartition = groups.get(topic);
  if (byPartition === undefined) groups.set(topic, (byPartition = new Map()));
  let messages = byPartition.get(partition);
  if (messages === undefined) byPartition.set(partition, (messages = []));
  return messages;
}

/** Nobody ever served that inbox, and waiting for it would hold up everything else that leaves with the same send. */
export function undeliverableLetter({ to, message }: Envelope, topics: TopicNames, sender: string): DeadLetter {
  const topic = topicOf(to, topics) ?? 'none';
  return {
    origin: { topic, partition: null, offset: null, key: null },
    value: encodeRecords(sender, [message])[0]!,
    headers: {},
    errorCode: 'UNKNOWN_DESTINATION',
    errorMessage: `${topic} does not exist: no participant of this name has ever been started`,
    atMs: Date.now(),
  };
}
