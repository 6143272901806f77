import type { OutgoingRecord } from '../clients/client.js';
import { MessageTooLargeError } from '../codec/errors.js';
import { type DeadLetter, DeadLetterHeader, deadLetterHeaders, type DeadLetterSink } from '../inbox/dead-letter.js';
import type { RecordProducer } from './record-producer.js';

const CUT_TO_BYTES = 64 * 1024;

/** Dead letters as records with the original value, key and headers. */
export class DeadLetterTopic implements DeadLetterSink {
  constructor(private readonly topic: string, private readonly producer: RecordProducer) {}

  async put(letter: DeadLetter): Promise<void> {
    const record = this.recordOf(letter);
    try {
      await this.producer.write([record]);
    } catch (error) {
      // A record at the broker's limit no longer fits with the headers. Its beginning and its origin are better than a stuck partition.
      if (!(error instanceof MessageTooLargeError)) throw error;
      await this.producer.write([cut(this.recordOf({ ...letter, headers: {} }))]);
    }
  }

  recordOf(letter: DeadLetter): OutgoingRecord {
    const { key } = letter.origin;
    return { topic: this.topic, ...(key === null ? {} : { key }), value: letter.value, headers: deadLetterHeaders(letter) };
  }
}

function cut(record: OutgoingRecord): OutgoingRecord {
  const { value } = record;
  if (value === null || value.length <= CUT_TO_BYTES) return record;
  return { ...record, value: value.subarray(0, CUT_TO_BYTES), headers: { ...record.headers, [DeadLetterHeader.TRUNCATED_FROM]: String(value.length) } };
}
