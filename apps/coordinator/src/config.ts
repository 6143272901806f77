import { KAFKA_DEFAULTS, kafkaOptionsFromEnv, type KafkaOptions } from '#libs/kafka';
import { type AuthOptions, authOptionsFromEnv, ConfigError, envDatabaseUrl, envEnum, envInt, envPort, envText, instanceId, type Logger } from '#libs/service';

/** Everything the coordinator takes from its environment. Durations in milliseconds. */
export interface CoordinatorConfig {
  readonly instance: string;
  readonly host: string;
  readonly port: number;
  readonly databaseUrl: string;
  readonly databaseConnections: number;
  readonly auth: AuthOptions;
  /** Null: a transport is given by the single-process mode. */
  readonly kafka: KafkaOptions | null;
  readonly maxInFlight: number;
  readonly limits: EdgeLimits;
  /** How long a stop waits for the decisions that clients are waiting for. */
  readonly drainMs: number;
}

/** Bounds of what one request may ask for. */
export interface EdgeLimits {
  readonly bodyBytes: number;
  readonly batchBodyBytes: number;
  readonly defaultTimeoutMs: number;
  readonly maxTimeoutMs: number;
  readonly eventStreams: number;
}

const MIB = 1024 * 1024;
const MAX_TIMEOUT_MS = 3_600_000;

/** @throws ConfigError with one line that names the variable */
export function configFromEnv(env: NodeJS.ProcessEnv, logger: Logger, transportGiven: boolean): CoordinatorConfig {
  const instance = instanceId(env);
  return {
    instance,
    host: envText(env, 'HOST', { default: '127.0.0.1' }),
    port: envPort(env, 'COORDINATOR_PORT', 3000),
    databaseUrl: envDatabaseUrl(env, 'COORDINATOR_DATABASE_URL'),
    databaseConnections: envInt(env, 'COORDINATOR_DATABASE_CONNECTIONS', { default: 10, min: 2, max: 500 }),
    auth: authOptionsFromEnv(env, logger),
    kafka: transportGiven ? null : kafkaFromEnv(env, instance, logger),
    maxInFlight: envInt(env, 'MAX_IN_FLIGHT', { default: 5_000, min: 1, max: 1_000_000 }),
    limits: {
      bodyBytes: envInt(env, 'BODY_LIMIT_BYTES', { default: MIB, min: 1024, max: 64 * MIB }),
      batchBodyBytes: envInt(env, 'BATCH_BODY_LIMIT_BYTES', { default: 8 * MIB, min: 1024, max: 256 * MIB }),
      defaultTimeoutMs: envInt(env, 'PREPARE_TIMEOUT_MS', { default: 10_000, min: 1, max: MAX_TIMEOUT_MS }),
      maxTimeoutMs: MAX_TIMEOUT_MS,
      eventStreams: envInt(env, 'MAX_EVENT_STREAMS', { default: 100, min: 1, max: 10_000 }),
    },
    drainMs: envInt(env, 'DRAIN_MS', { default: 3_000, min: 0, max: 60_000 }),
  };
}

function kafkaFromEnv(env: NodeJS.ProcessEnv, instance: string, logger: Logger): KafkaOptions {
  if (envEnum(env, 'TRANSPORT', ['kafka', 'memory'], 'kafka') === 'memory') {
    throw ConfigError.of('TRANSPORT', 'memory', '"kafka" when the coordinator runs as a process of its own; "memory" needs the single-process mode');
  }
  const { brokers, ...options } = kafkaOptionsFromEnv(env);
  if (brokers === undefined) throw ConfigError.of('KAFKA_BROKERS', undefined, 'host:port of at least one broker, separated by commas');
  return {
    ...KAFKA_DEFAULTS, ...options,
    brokers, clientId: `coordinator-${instance}`, sender: `coordinator/${instance}`, participants: [], logger,
  };
}
