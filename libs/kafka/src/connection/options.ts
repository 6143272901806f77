import type { SavingOffsets } from '#libs/runtime';
import type { TransportLogger } from '../logger.js';

export interface KafkaSasl {
  readonly mechanism: 'plain' | 'scram-sha-256' | 'scram-sha-512';
  readonly username: string;
  readonly password: string;
}

/** The library that writes, reads and keeps the membership. Administration is always kafkajs. */
export const KAFKA_CLIENTS = ['kafkajs', 'platformatic'] as const;
export type KafkaClientName = (typeof KAFKA_CLIENTS)[number];

/** All durations in milliseconds. */
export interface KafkaOptions {
  /** Default kafkajs. */
  readonly client?: KafkaClientName;
  /** host:port of at least one broker. */
  readonly brokers: readonly string[];
  readonly ssl?: boolean;
  readonly sasl?: KafkaSasl;
  readonly clientId: string;
  /** `<service>/<instance>`, written into every record. */
  readonly sender: string;
  readonly topicPrefix: string;
  /** Partitions of the coordinator's inbox. */
  readonly coordinatorShards: number;
  /** Partitions of each participant's inbox. */
  readonly participantPartitions: number;
  /** Participants whose inbox topics are created at the start. */
  readonly participants: readonly string[];
  /** A member that is silent for longer loses its partitions. Default 3,000. */
  readonly sessionTimeoutMs?: number;
  /** A member also hears of a rebalance by its next heartbeat, and all others wait for it until then. Default 250. */
  readonly heartbeatMs?: number;
  /** How long the broker may hold an empty read. Default 5,000; with kafkajs, whose heartbeats wait for it, 250 and never more than `heartbeatMs`. */
  readonly fetchWaitMs?: number;
  /** Default 1,000. */
  readonly saveOffsetsEveryMs?: number;
  /** Out of the group for this long, the member gives up its partitions. Default 15,000. */
  readonly detachAfterMs?: number;
  /** How long create() waits for the cluster. Default 30,000. */
  readonly startTimeoutMs?: number;
  /** An answer that takes longer is a failure. Default 5,000. */
  readonly requestTimeoutMs?: number;
  /** How long Kafka keeps inbox records. Default one day; outcomes and dead letters seven times that. */
  readonly retentionMs?: number;
  /** Called around each saving of offsets, for tests. */
  readonly savingOffsets?: SavingOffsets;
  readonly logger?: TransportLogger;
}

export const KAFKA_DEFAULTS = {
  client: 'kafkajs',
  topicPrefix: 'concordat',
  coordinatorShards: 8,
  participantPartitions: 8,
  sessionTimeoutMs: 3_000,
  heartbeatMs: 250,
  saveOffsetsEveryMs: 1_000,
  detachAfterMs: 15_000,
  startTimeoutMs: 30_000,
  requestTimeoutMs: 5_000,
  retentionMs: 24 * 60 * 60 * 1_000,
} as const;

/** Options with the defaults filled in. */
export type Settings = Required<Omit<KafkaOptions, 'sasl' | 'ssl' | 'logger' | 'savingOffsets' | 'fetchWaitMs'>> & Pick<KafkaOptions, 'sasl' | 'ssl' | 'savingOffsets' | 'fetchWaitMs'> & { readonly logger: TransportLogger };

/** The cluster or the environment contradicts the configuration: the start must stop. The message is one line for people. */
export class KafkaConfigurationError extends Error {
  readonly code = 'INVALID_CONFIGURATION';
  constructor(message: string) {
    super(message);
    this.name = 'KafkaConfigurationError';
  }
}

/** No broker answered in time. */
export class KafkaUnavailableError extends Error {
  readonly code = 'KAFKA_UNAVAILABLE';
  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'KafkaUnavailableError';
  }
}
