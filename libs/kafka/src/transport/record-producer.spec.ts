import { describe, expect, it } from '@jest/globals';
import type { Kafka } from 'kafkajs';
import { MessageTooLargeError } from '../codec/errors.js';
import { Health } from '../connection/health.js';
import { silentLogger } from '../logger.js';
import { KafkajsClient } from '../clients/kafkajs/kafkajs-client.js';
import { RecordProducer } from './record-producer.js';

/** A cluster whose answer to every request to write is this error, wrapped as kafkajs wraps it. */
function clusterAnswering(type: string): KafkajsClient {
  const answer = new Error('retries exceeded', { cause: Object.assign(new Error('the request included a message'), { type, code: 10 }) });
  const producer = { connect: async () => {}, disconnect: async () => {}, sendBatch: async () => { throw answer; } };
  return new KafkajsClient({ producer: () => producer } as unknown as Kafka, silentLogger);
}

describe('a record that the broker finds too large', () => {
  it.each(['MESSAGE_TOO_LARGE', 'RECORD_LIST_TOO_LARGE'])('is refused to its sender as one that was found before sending would be (%s)', async (type) => {
    const health = new Health(async () => {}, silentLogger);
    const producer = new RecordProducer(clusterAnswering(type), health);
    const write = producer.write([{ topic: 'small', partition: 0, value: Buffer.alloc(10) }, { topic: 'large', partition: 0, value: Buffer.alloc(20_000) }]);
    const refusal = await write.catch((error: unknown) => error);
    expect(refusal).toBeInstanceOf(MessageTooLargeError);
    expect(refusal).toMatchObject({ code: 'MESSAGE_TOO_LARGE', message: expect.stringMatching(/20000 bytes for large/) });
    expect(health.healthy()).toBe(true);
  });

  it('is told apart from other answers, which are given on as they are', async () => {
    const producer = new RecordProducer(clusterAnswering('NOT_LEADER_FOR_PARTITION'), new Health(async () => {}, silentLogger));
    await expect(producer.write([{ topic: 't', partition: 0, value: null }])).rejects.toThrow('retries exceeded');
  });
});
