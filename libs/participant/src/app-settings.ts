import { KAFKA_DEFAULTS, kafkaOptionsFromEnv, KafkaTransport } from '#libs/kafka';
import type { Transport } from '#libs/runtime';
import { type AppDeps, authOptionsFromEnv, type AuthOptions, ConfigError, createLogger, envDatabaseUrl, envEnum, envInt, envPort, envText, instanceId, type Logger } from '#libs/service';

type Env = NodeJS.ProcessEnv;

/** What a participant's process takes from its environment. */
export interface AppSettings {
  readonly name: string;
  readonly instance: string;
  readonly databaseUrl: string;
  /** DATABASE_POOL_SIZE, default 10. */
  readonly poolSize: number;
  readonly host: string;
  readonly port: number;
  readonly portVariable: string;
  readonly partitions: number;
  /** PARTICIPANT_LANES, default 1: local transactions in flight at once. */
  readonly lanes: number;
  readonly inquireAfterMs: number;
  readonly auth: AuthOptions;
  readonly logger: Logger;
}

/** @throws ConfigError */
export function readSettings(name: string, defaultPort: number, env: Env): AppSettings {
  const logger = createLogger(name, env);
  const variables = name.toUpperCase().replaceAll(/[^A-Z0-9]/g, '_');
  return {
    name,
    instance: instanceId(env),
    databaseUrl: envDatabaseUrl(env, `${variables}_DATABASE_URL`),
    poolSize: envInt(env, 'DATABASE_POOL_SIZE', { default: 10, min: 2, max: 1_000 }),
    host: envText(env, 'HOST', { default: '127.0.0.1' }),
    port: envPort(env, `${variables}_PORT`, defaultPort),
    portVariable: `${variables}_PORT`,
    partitions: kafkaOptionsFromEnv(env).participantPartitions ?? KAFKA_DEFAULTS.participantPartitions,
    lanes: envInt(env, 'PARTICIPANT_LANES', { default: 1, min: 1, max: 64 }),
    inquireAfterMs: envInt(env, 'INQUIRE_AFTER_MS', { default: 5_000, min: 50, max: 3_600_000 }),
    auth: authOptionsFromEnv(env, logger),
    logger,
  };
}

/**
 * The transport that the process was given, or one of its own over Kafka.
 * @throws ConfigError
 */
export async function openTransport(settings: AppSettings, env: Env, deps: AppDeps): Promise<{ readonly transport: Transport; close(): Promise<void> }> {
  if (deps.transport !== undefined) return { transport: deps.transport, close: async () => {} };
  if (envEnum(env, 'TRANSPORT', ['kafka', 'memory'], 'kafka') === 'memory') {
    throw new ConfigError('TRANSPORT got "memory" in a process of its own; it takes "kafka" there, because the in-process bus needs the single-process mode');
  }
  const { name, instance, logger } = settings;
  const { brokers, ...options } = kafkaOptionsFromEnv(env);
  if (brokers === undefined) throw ConfigError.of('KAFKA_BROKERS', undefined, 'host:port of at least one broker, separated by commas');
  const transport = await KafkaTransport.create({
    topicPrefix: KAFKA_DEFAULTS.topicPrefix, coordinatorShards: KAFKA_DEFAULTS.coordinatorShards, participantPartitions: KAFKA_DEFAULTS.participantPartitions,
    ...options, brokers, clientId: `${name}-${instance}`, sender: `${name}/${instance}`, participants: [name], logger,
  });
  return { transport, close: () => transport.close() };
}
