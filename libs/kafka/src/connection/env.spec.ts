import { describe, expect, it } from '@jest/globals';
import { kafkaOptionsFromEnv } from './env.js';
import { KafkaConfigurationError } from './options.js';

describe('Kafka options from the environment', () => {
  it('have defaults for everything but the brokers', () => {
    const options = kafkaOptionsFromEnv({});
    expect(options).toMatchObject({ client: 'kafkajs', topicPrefix: 'concordat', coordinatorShards: 8, participantPartitions: 8, sessionTimeoutMs: 3_000, heartbeatMs: 250, ssl: false });
    expect(options).not.toHaveProperty('brokers');
    expect(options).not.toHaveProperty('sasl');
  });

  it('read a secured cluster', () => {
    const options = kafkaOptionsFromEnv({
      KAFKA_BROKERS: 'a.example:9093, b.example:9093', KAFKA_SSL: 'true',
      KAFKA_SASL_MECHANISM: 'SCRAM-SHA-512', KAFKA_SASL_USERNAME: 'concordat', KAFKA_SASL_PASSWORD: 'p,w=',
    });
    expect(options).toMatchObject({ brokers: ['a.example:9093', 'b.example:9093'], ssl: true, sasl: { mechanism: 'scram-sha-512', username: 'concordat', password: 'p,w=' } });
  });

  it.each<[string, Record<string, string>, string]>([
    ['a client that is not known', { KAFKA_CLIENT: 'librdkafka' }, 'KAFKA_CLIENT'],
    ['a broker without port', { KAFKA_BROKERS: 'localhost' }, 'KAFKA_BROKERS'],
    ['a port that does not exist', { KAFKA_BROKERS: 'localhost:70000' }, 'KAFKA_BROKERS'],
    ['only commas', { KAFKA_BROKERS: ',,' }, 'KAFKA_BROKERS'],
    ['a prefix that cannot begin a topic', { KAFKA_TOPIC_PREFIX: 'a b' }, 'KAFKA_TOPIC_PREFIX'],
    ['no shards', { COORDINATOR_SHARDS: '0' }, 'COORDINATOR_SHARDS'],
    ['more shards than a txid can name', { COORDINATOR_SHARDS: '4097' }, 'COORDINATOR_SHARDS'],
    ['partitions in words', { PARTICIPANT_PARTITIONS: 'eight' }, 'PARTICIPANT_PARTITIONS'],
    ['a heartbeat that is no faster than the session', { KAFKA_HEARTBEAT_MS: '2000', KAFKA_SESSION_TIMEOUT_MS: '3000' }, 'KAFKA_HEARTBEAT_MS'],
    ['an unknown mechanism', { KAFKA_SASL_MECHANISM: 'magic', KAFKA_SASL_USERNAME: 'a', KAFKA_SASL_PASSWORD: 'b' }, 'KAFKA_SASL_MECHANISM'],
    ['a mechanism without user', { KAFKA_SASL_MECHANISM: 'plain', KAFKA_SASL_PASSWORD: 'b' }, 'KAFKA_SASL_USERNAME'],
    ['a mechanism without password', { KAFKA_SASL_MECHANISM: 'plain', KAFKA_SASL_USERNAME: 'a' }, 'KAFKA_SASL_PASSWORD'],
    ['a user without mechanism', { KAFKA_SASL_USERNAME: 'a' }, 'KAFKA_SASL_MECHANISM'],
    ['a flag that is neither', { KAFKA_SSL: 'maybe' }, 'KAFKA_SSL'],
  ])('name the variable in one line: %s', (_what, env, variable) => {
    const read = (): unknown => kafkaOptionsFromEnv(env);
    expect(read).toThrow(KafkaConfigurationError);
    expect(read).toThrow(expect.objectContaining({ code: 'INVALID_CONFIGURATION' }));
    expect(read).toThrow(new RegExp(`^${variable} is [^\n]+; it takes [^\n]+$`));
  });

  it('never repeat a password', () => {
    const read = (): unknown => kafkaOptionsFromEnv({ KAFKA_SASL_PASSWORD: 'secret-password' });
    expect(read).toThrow(/^(?!.*secret-password)KAFKA_SASL_MECHANISM/);
  });
});
