import type { InboxRecord } from '../inbox/dead-letter.js';

/** A record to write; without a partition, the key decides (murmur2, as in every Kafka client). */
export interface OutgoingRecord {
  readonly topic: string;
  readonly partition?: number;
  readonly key?: string | Buffer;
  readonly value: Buffer | null;
  readonly headers?: Record<string, string | Buffer>;
}

/** The hot path to a cluster: all that depends on the client library. */
export interface KafkaClient {
  /** Connects when it is first used. */
  writer(): RecordWriter;
  member(options: MemberOptions, events: MemberEvents): GroupMember;
}

export interface RecordWriter {
  /**
   * Writes with acks=all, in one attempt, the records of one partition as one batch. A rejection means that any subset may have been
   * written; where a broker has refused, the error or one of its causes has the `type` of the refusal, e.g. MESSAGE_TOO_LARGE.
   * @throws IncompleteAnswerError when some records are neither acknowledged nor refused
   */
  write(records: readonly OutgoingRecord[]): Promise<void>;
  close(): Promise<void>;
}

/** What was not acknowledged is not written, although no broker has said no. */
export class IncompleteAnswerError extends Error {
  constructor(place: string) {
    super(`no broker has acknowledged the records for ${place}`);
    this.name = 'IncompleteAnswerError';
  }
}

/** Durations in milliseconds. */
export interface MemberOptions {
  readonly group: string;
  readonly topic: string;
  /** Of the topic. */
  readonly partitions: number;
  readonly sessionTimeoutMs: number;
  /** Upper bound of a rebalance: a member that does not rejoin within it is left out. */
  readonly rebalanceTimeoutMs: number;
  readonly heartbeatMs: number;
  /** How long a broker may hold an empty read; without it, what suits the client. */
  readonly fetchWaitMs?: number;
}

export interface PartitionOffset {
  readonly partition: number;
  readonly offset: number;
}

/** What a member says of itself. After leave() it is silent. */
export interface MemberEvents {
  /**
   * A new generation has begun with these partitions, which nothing is paused of, also when they are those of the generation before.
   * @returns where to read on; partitions that are missing are read from their saved offsets, or else from the beginning
   */
  joined(partitions: readonly number[]): readonly PartitionOffset[];
  /** The group has confirmed this member. */
  alive(): void;
  /** The last moment at which offsets of this generation are accepted. */
  rebalancing(): Promise<void>;
  read(partition: number, records: readonly InboxRecord[]): void;
  /** It is of no use any more and has to be replaced. */
  lost(cause: unknown): void;
}

/** One member of a consumer group from its start to its end. */
export interface GroupMember {
  start(): void;
  commit(offsets: readonly PartitionOffset[]): Promise<void>;
  /** Stops or resumes the reading of one partition of this generation. */
  throttle(partition: number, full: boolean): void;
  /** Leaves the group, so that others take the partitions over at once. May take as long as the network does. */
  leave(): Promise<void>;
}
