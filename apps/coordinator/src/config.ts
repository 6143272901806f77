import { KAFKA_DEFAULTS, kafkaOptionsFromEnv, type KafkaOptions } from '#libs/kafka';
import type { Acceptors, SagaRetry } from '#libs/protocol';
import { COORDINATOR_DEFAULTS, offsetCrashPoints } from '#libs/runtime';
import { type AuthOptions, authOptionsFromEnv, ConfigError, envDatabaseUrl, envEnum, envInt, envNames, envNumber, envPort, envText, instanceId, type Logger } from '#libs/service';
import { type WebhookOptions, webhookFromEnv } from './alert/webhook-config.js';

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
  readonly maxInFlightPerParticipant: number;
  readonly admissionTargetMs: number;
  readonly acceptors: Acceptors;
  /** 3pc: when an undecided coordinator stands for election. */
  readonly resolveAfterMs: number;
  readonly limits: EdgeLimits;
  readonly history: History;
  /** Null: nobody is told when a transaction needs a person. */
  readonly webhook: WebhookOptions | null;
  /** How long a stop waits for the decisions that clients are waiting for. */
  readonly drainMs: number;
}

/** Bounds of what one request may ask for. */
export interface EdgeLimits extends BodyLimits {
  readonly bodyBytes: number;
  readonly batchBodyBytes: number;
  readonly eventStreams: number;
}

/** What the body of a transaction may say, and what holds where it says nothing. */
export interface BodyLimits {
  readonly defaultTimeoutMs: number;
  readonly maxTimeoutMs: number;
  readonly maxSagaTimeoutMs: number;
  readonly saga: SagaDefaults;
}

export interface SagaDefaults {
  readonly timeoutMs: number;
  readonly stepTimeoutMs: number;
  readonly retry: SagaRetry;
  readonly compensationTimeoutMs: number;
  readonly attentionAfterAttempts: number;
}

/** How long finished transactions are kept, and in pieces of what size they leave. */
export interface History {
  readonly hours: number;
  readonly partitionHours: number;
  readonly everyMs: number;
}

const MIB = 1024 * 1024;
const MAX_TIMEOUT_MS = 3_600_000;
/** Well below the time for which participants keep their rows: a saga whose rows may be gone could not be ended without a person. */
const MAX_SAGA_TIMEOUT_MS = 24 * 3_600_000;

/** Of a coordinator whose environment says nothing. */
export const DOCUMENTED_LIMITS: BodyLimits = limitsFromEnv({});

/** @throws ConfigError with one line that names the variable */
export function configFromEnv(env: NodeJS.ProcessEnv, logger: Logger, transportGiven: boolean): CoordinatorConfig {
  const instance = instanceId(env);
  const maxInFlight = envInt(env, 'MAX_IN_FLIGHT', { default: 5_000, min: 1, max: 1_000_000 });
  return {
    instance,
    host: envText(env, 'HOST', { default: '127.0.0.1' }),
    port: envPort(env, 'COORDINATOR_PORT', 3000),
    databaseUrl: envDatabaseUrl(env, 'COORDINATOR_DATABASE_URL'),
    databaseConnections: envInt(env, 'COORDINATOR_DATABASE_CONNECTIONS', { default: 10, min: 2, max: 500 }),
    kafka: transportGiven ? null : kafkaFromEnv(env, instance, logger),
    maxInFlight,
    maxInFlightPerParticipant: envInt(env, 'MAX_IN_FLIGHT_PER_PARTICIPANT', { default: Math.ceil(maxInFlight / 2), min: 1, max: 1_000_000 }),
    admissionTargetMs: envInt(env, 'ADMISSION_TARGET_MS', { default: COORDINATOR_DEFAULTS.admissionTargetMs, min: 0, max: 600_000 }),
    acceptors: acceptorsFromEnv(env),
    resolveAfterMs: envInt(env, 'RESOLVE_AFTER_MS', { default: COORDINATOR_DEFAULTS.resolveAfterMs, min: 50, max: 3_600_000 }),
    limits: limitsFromEnv(env),
    history: historyFromEnv(env),
    webhook: webhookFromEnv(env),
    drainMs: envInt(env, 'DRAIN_MS', { default: 3_000, min: 0, max: 60_000 }),
    // Last: it writes the tokens' file, which a start that is refused should not leave behind.
    auth: authOptionsFromEnv(env, logger),
  };
}

/** 2F+1 acceptors go on without F of them: one more would make nothing safer. */
function acceptorsFromEnv(env: NodeJS.ProcessEnv): Acceptors {
  return envNames(env, 'ACCEPTORS', {
    default: COORDINATOR_DEFAULTS.acceptors,
    takes: 'an odd number of distinct names of acceptors, at most 9, separated by commas',
    check: ({ length }) => length % 2 === 1 && length <= 9,
  });
}

function limitsFromEnv(env: NodeJS.ProcessEnv): EdgeLimits {
  return {
    bodyBytes: envInt(env, 'BODY_LIMIT_BYTES', { default: MIB, min: 1024, max: 64 * MIB }),
    batchBodyBytes: envInt(env, 'BATCH_BODY_LIMIT_BYTES', { default: 8 * MIB, min: 1024, max: 256 * MIB }),
    eventStreams: envInt(env, 'MAX_EVENT_STREAMS', { default: 100, min: 1, max: 10_000 }),
    defaultTimeoutMs: envInt(env, 'PREPARE_TIMEOUT_MS', { default: 10_000, min: 1, max: MAX_TIMEOUT_MS }),
    maxTimeoutMs: MAX_TIMEOUT_MS,
    maxSagaTimeoutMs: MAX_SAGA_TIMEOUT_MS,
    saga: sagaFromEnv(env),
  };
}

function sagaFromEnv(env: NodeJS.ProcessEnv): SagaDefaults {
  const duration = (name: string, fallback: number): number => envInt(env, name, { default: fallback, min: 1, max: MAX_SAGA_TIMEOUT_MS });
  const attempts = (name: string, fallback: number): number => envInt(env, name, { default: fallback, min: 1, max: 1_000 });
  const firstMs = duration('SAGA_RETRY_FIRST_MS', 500);
  return {
    timeoutMs: duration('SAGA_TIMEOUT_MS', 60_000),
    stepTimeoutMs: duration('SAGA_STEP_TIMEOUT_MS', 30_000),
    retry: {
      maxAttempts: attempts('SAGA_RETRY_MAX_ATTEMPTS', 10),
      firstMs,
      maxMs: envInt(env, 'SAGA_RETRY_MAX_MS', { default: Math.max(10_000, firstMs), min: firstMs, max: MAX_SAGA_TIMEOUT_MS }),
    },
    compensationTimeoutMs: duration('SAGA_COMPENSATION_TIMEOUT_MS', 60_000),
    attentionAfterAttempts: attempts('SAGA_ATTENTION_AFTER_ATTEMPTS', 20),
  };
}

function historyFromEnv(env: NodeJS.ProcessEnv): History {
  const hours = envNumber(env, 'HISTORY_HOURS', { default: 168, min: 0.02, max: 87_600 });
  return {
    hours,
    partitionHours: envNumber(env, 'PARTITION_HOURS', { default: Math.min(24, hours), min: 0.01, max: Math.min(hours, 744) }),
    everyMs: 1_000 * envInt(env, 'HOUSEKEEPING_SECONDS', { default: 300, min: 1, max: 86_400 }),
  };
}

function kafkaFromEnv(env: NodeJS.ProcessEnv, instance: string, logger: Logger): KafkaOptions {
  if (envEnum(env, 'TRANSPORT', ['kafka', 'memory'], 'kafka') === 'memory') {
    throw ConfigError.of('TRANSPORT', 'memory', '"kafka" when the coordinator runs as a process of its own; "memory" needs the single-process mode');
  }
  const { brokers, ...options } = kafkaOptionsFromEnv(env);
  if (brokers === undefined) throw ConfigError.of('KAFKA_BROKERS', undefined, 'host:port of at least one broker, separated by commas');
  return {
    ...KAFKA_DEFAULTS, ...options, ...offsetCrashPoints('coordinator', env),
    brokers, clientId: `coordinator-${instance}`, sender: `coordinator/${instance}`, participants: [], logger,
  };
}
