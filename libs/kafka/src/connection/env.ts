import { MAX_SHARDS } from '#libs/protocol';
import { KAFKA_CLIENTS, KAFKA_DEFAULTS, KafkaConfigurationError, type KafkaClientName, type KafkaOptions, type KafkaSasl } from './options.js';

type Env = Readonly<Record<string, string | undefined>>;
type Mutable<T> = { -readonly [K in keyof T]: T[K] };

const TOPIC_PREFIX = /^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$/;
const MECHANISMS: readonly KafkaSasl['mechanism'][] = ['plain', 'scram-sha-256', 'scram-sha-512'];

/**
 * Reads KAFKA_CLIENT, KAFKA_BROKERS, KAFKA_SSL, KAFKA_SASL_MECHANISM, KAFKA_SASL_USERNAME, KAFKA_SASL_PASSWORD, KAFKA_TOPIC_PREFIX,
 * KAFKA_SESSION_TIMEOUT_MS, KAFKA_HEARTBEAT_MS, KAFKA_RETENTION_MS, COORDINATOR_SHARDS and PARTICIPANT_PARTITIONS. Without KAFKA_BROKERS the result has no `brokers`.
 * @throws KafkaConfigurationError with one line that names the variable, what it got and what it takes
 */
export function kafkaOptionsFromEnv(env: Env): Partial<KafkaOptions> {
  const options: Mutable<Partial<KafkaOptions>> = {
    client: client(env),
    topicPrefix: topicPrefix(env),
    coordinatorShards: integer(env, 'COORDINATOR_SHARDS', KAFKA_DEFAULTS.coordinatorShards, 1, MAX_SHARDS),
    participantPartitions: integer(env, 'PARTICIPANT_PARTITIONS', KAFKA_DEFAULTS.participantPartitions, 1, MAX_SHARDS),
    sessionTimeoutMs: integer(env, 'KAFKA_SESSION_TIMEOUT_MS', KAFKA_DEFAULTS.sessionTimeoutMs, 1_000, 300_000),
    retentionMs: integer(env, 'KAFKA_RETENTION_MS', KAFKA_DEFAULTS.retentionMs, 1_000, 31_536_000_000),
    heartbeatMs: integer(env, 'KAFKA_HEARTBEAT_MS', KAFKA_DEFAULTS.heartbeatMs, 50, 100_000),
    ssl: flag(env, 'KAFKA_SSL'),
  };
  if (options.heartbeatMs! * 2 > options.sessionTimeoutMs!) fail('KAFKA_HEARTBEAT_MS', String(options.heartbeatMs), `at most half of KAFKA_SESSION_TIMEOUT_MS (${options.sessionTimeoutMs})`);
  const sasl = saslOf(env);
  if (sasl !== undefined) options.sasl = sasl;
  const brokers = env['KAFKA_BROKERS'];
  if (brokers !== undefined && brokers !== '') options.brokers = brokerList(brokers);
  return options;
}

function brokerList(text: string): readonly string[] {
  const brokers = text.split(',').map((broker) => broker.trim()).filter((broker) => broker !== '');
  for (const broker of brokers) {
    const port = Number(/^(?:[A-Za-z0-9._-]+|\[[0-9A-Fa-f:]+\]):(\d{1,5})$/.exec(broker)?.[1]);
    if (!(port >= 1 && port <= 65_535)) fail('KAFKA_BROKERS', text, 'a comma-separated list of host:port');
  }
  if (brokers.length === 0) fail('KAFKA_BROKERS', text, 'a comma-separated list of host:port');
  return brokers;
}

function client(env: Env): KafkaClientName {
  const name = env['KAFKA_CLIENT'] || KAFKA_DEFAULTS.client;
  return KAFKA_CLIENTS.find((known) => known === name) ?? fail('KAFKA_CLIENT', name, `one of ${KAFKA_CLIENTS.join(', ')}`);
}

function topicPrefix(env: Env): string {
  const prefix = env['KAFKA_TOPIC_PREFIX'] || KAFKA_DEFAULTS.topicPrefix;
  if (!TOPIC_PREFIX.test(prefix)) fail('KAFKA_TOPIC_PREFIX', prefix, '1 to 100 letters, digits, dots, dashes or underscores, beginning with a letter or digit');
  return prefix;
}

function saslOf(env: Env): KafkaSasl | undefined {
  const mechanism = env['KAFKA_SASL_MECHANISM'] || undefined;
  const username = env['KAFKA_SASL_USERNAME'] || undefined;
  const password = env['KAFKA_SASL_PASSWORD'] || undefined;
  if (mechanism === undefined) {
    if (username !== undefined || password !== undefined) fail('KAFKA_SASL_MECHANISM', '', `one of ${MECHANISMS.join(', ')} when KAFKA_SASL_USERNAME or KAFKA_SASL_PASSWORD is set`);
    return undefined;
  }
  const known = MECHANISMS.find((candidate) => candidate === mechanism.toLowerCase());
  if (known === undefined) fail('KAFKA_SASL_MECHANISM', mechanism, `one of ${MECHANISMS.join(', ')}`);
  if (username === undefined) fail('KAFKA_SASL_USERNAME', '', 'a user name when KAFKA_SASL_MECHANISM is set');
  if (password === undefined) fail('KAFKA_SASL_PASSWORD', '', 'a password when KAFKA_SASL_MECHANISM is set');
  return { mechanism: known, username, password };
}

function integer(env: Env, name: string, fallback: number, min: number, max: number): number {
  const text = env[name];
  if (text === undefined || text === '') return fallback;
  const value = Number(text);
  if (!/^\d+$/.test(text) || value < min || value > max) fail(name, text, `an integer within ${min}..${max}`);
  return value;
}

function flag(env: Env, name: string): boolean {
  const text = (env[name] ?? '').toLowerCase();
  if (text === '' || text === 'false' || text === '0') return false;
  if (text === 'true' || text === '1') return true;
  return fail(name, env[name]!, 'true or false');
}

/** Never called with the value of a secret. */
function fail(name: string, got: string, takes: string): never {
  throw new KafkaConfigurationError(`${name} is ${got === '' ? 'not set' : JSON.stringify(got.slice(0, 200))}; it takes ${takes}`);
}
