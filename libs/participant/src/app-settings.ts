import { KAFKA_DEFAULTS, kafkaOptionsFromEnv, KafkaTransport, topicNames } from '#libs/kafka';
import { DEFAULT_SITE_CONFIG, offsetCrashPoints, type SiteConfig, type Transport } from '#libs/runtime';
import { type AppDeps, authOptionsFromEnv, type AuthOptions, ConfigError, createLogger, envDatabaseUrl, envEnum, envInt, envNumber, envPort, envText, instanceId, type Logger } from '#libs/service';

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
  /** What the site does about being in doubt, and when. */
  readonly site: Pick<SiteConfig, 'inquireAfterMs' | 'resolveAfterMs' | 'paxosRepeatAfterMs' | 'leadAfterRepeats' | 'staggerMs'>;
  readonly retention: BranchRetention;
  readonly auth: AuthOptions;
  readonly logger: Logger;
}

/** How long rows of ended branches are kept, and in pieces of what size they leave. */
export interface BranchRetention {
  /** BRANCH_RETENTION_HOURS, default 168: longer than any message about a transaction may come late. */
  readonly hours: number;
  /** BRANCH_PARTITION_HOURS, default 24 (or all of the retention, if that is less). */
  readonly partitionHours: number;
  /** HOUSEKEEPING_SECONDS, default 300. */
  readonly everyMs: number;
}

/** As transactions, topics and metrics take it. */
const SITE_NAME = /^[\w.-]{1,100}$/;

/** @throws ConfigError */
export function readSettings(name: string, defaultPort: number, env: Env, prefix = name.toUpperCase().replaceAll(/[^A-Z0-9]/g, '_')): AppSettings {
  const logger = createLogger(name, env);
  return {
    name,
    instance: instanceId(env),
    databaseUrl: envDatabaseUrl(env, `${prefix}_DATABASE_URL`),
    poolSize: envInt(env, 'DATABASE_POOL_SIZE', { default: 10, min: 2, max: 1_000 }),
    host: envText(env, 'HOST', { default: '127.0.0.1' }),
    port: envPort(env, `${prefix}_PORT`, defaultPort),
    portVariable: `${prefix}_PORT`,
    partitions: kafkaOptionsFromEnv(env).participantPartitions ?? KAFKA_DEFAULTS.participantPartitions,
    lanes: envInt(env, 'PARTICIPANT_LANES', { default: 1, min: 1, max: 64 }),
    site: siteFromEnv(env),
    retention: retentionFromEnv(env),
    auth: authOptionsFromEnv(env, logger),
    logger,
  };
}

/** An acceptor has no service to be named after: its name is ACCEPTOR_NAME, the other variables begin with ACCEPTOR. @throws ConfigError */
export function readAcceptorSettings(defaultPort: number, env: Env): AppSettings {
  const name = envText(env, 'ACCEPTOR_NAME', { default: 'acceptor-1', pattern: SITE_NAME, takes: '1 to 100 letters, digits, dots, dashes or underscores' });
  return readSettings(name, defaultPort, env, 'ACCEPTOR');
}

function siteFromEnv(env: Env): AppSettings['site'] {
  const ms = (name: string, fallback: number): number => envInt(env, name, { default: fallback, min: 50, max: 3_600_000 });
  return {
    inquireAfterMs: ms('INQUIRE_AFTER_MS', DEFAULT_SITE_CONFIG.inquireAfterMs),
    resolveAfterMs: ms('RESOLVE_AFTER_MS', DEFAULT_SITE_CONFIG.resolveAfterMs),
    paxosRepeatAfterMs: ms('PAXOS_REPEAT_AFTER_MS', DEFAULT_SITE_CONFIG.paxosRepeatAfterMs),
    leadAfterRepeats: envInt(env, 'LEAD_AFTER_REPEATS', { default: DEFAULT_SITE_CONFIG.leadAfterRepeats, min: 1, max: 1_000 }),
    staggerMs: envInt(env, 'STAGGER_MS', { default: DEFAULT_SITE_CONFIG.staggerMs, min: 0, max: 60_000 }),
  };
}

function retentionFromEnv(env: Env): BranchRetention {
  const hours = envNumber(env, 'BRANCH_RETENTION_HOURS', { default: 168, min: 0.02, max: 87_600 });
  return {
    hours,
    partitionHours: envNumber(env, 'BRANCH_PARTITION_HOURS', { default: Math.min(24, hours), min: 0.01, max: Math.min(hours, 744) }),
    everyMs: 1_000 * envInt(env, 'HOUSEKEEPING_SECONDS', { default: 300, min: 1, max: 86_400 }),
  };
}

export interface InboxRetention {
  readonly topic: string;
  /** Infinity: for ever. */
  readonly retentionMs: number;
}

export interface OpenTransport {
  readonly transport: Transport;
  /** How long messages of the site's inbox are kept. Null: the cluster does not tell; the in-process bus keeps none. */
  retention(): Promise<InboxRetention | null>;
  close(): Promise<void>;
}

/**
 * The transport that the process was given, or one of its own over Kafka.
 * @throws ConfigError
 */
export async function openTransport(settings: AppSettings, env: Env, deps: AppDeps, role: 'participant' | 'acceptor' = 'participant'): Promise<OpenTransport> {
  if (deps.transport !== undefined) return { transport: deps.transport, retention: async () => null, close: async () => {} };
  if (envEnum(env, 'TRANSPORT', ['kafka', 'memory'], 'kafka') === 'memory') {
    throw new ConfigError('TRANSPORT got "memory" in a process of its own; it takes "kafka" there, because the in-process bus needs the single-process mode');
  }
  const { name, instance, logger } = settings;
  const { brokers, ...options } = kafkaOptionsFromEnv(env);
  if (brokers === undefined) throw ConfigError.of('KAFKA_BROKERS', undefined, 'host:port of at least one broker, separated by commas');
  const transport = await KafkaTransport.create({
    topicPrefix: KAFKA_DEFAULTS.topicPrefix, coordinatorShards: KAFKA_DEFAULTS.coordinatorShards, participantPartitions: KAFKA_DEFAULTS.participantPartitions,
    ...options, brokers, clientId: `${name}-${instance}`, sender: `${name}/${instance}`, participants: [name], logger, ...offsetCrashPoints(role, env),
  });
  return { transport, retention: () => retentionOf(transport, options.topicPrefix ?? KAFKA_DEFAULTS.topicPrefix, name), close: () => transport.close() };
}

async function retentionOf(transport: KafkaTransport, prefix: string, name: string): Promise<InboxRetention | null> {
  const inbox = { role: 'participant', name } as const;
  const retentionMs = await transport.retentionMs(inbox);
  return retentionMs === null ? null : { topic: topicNames(prefix).inbox(inbox), retentionMs };
}
