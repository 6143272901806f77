import { IncompleteAnswerError, type KafkaClient, type OutgoingRecord, type RecordWriter } from '../clients/client.js';
import { MessageTooLargeError } from '../codec/errors.js';
import { RECORD_TARGET_BYTES } from '../codec/record.js';
import type { Health } from '../connection/health.js';

/** Key, headers and framing of a record, about. */
const FRAMING_BYTES = 200;

/** Writes records with acks=all, in one attempt. A writer that failed is thrown away, so that no half-dead connection outlives a failure. */
export class RecordProducer {
  private current: RecordWriter | null = null;
  private isClosed = false;

  constructor(private readonly client: Pick<KafkaClient, 'writer'>, private readonly health: Health) {}

  /**
   * Resolves when all records are acknowledged; a rejection means that any subset may have been written.
   * @throws MessageTooLargeError when a broker says that a record is too large for it
   */
  async write(records: readonly OutgoingRecord[]): Promise<void> {
    for (const round of inRounds(records)) await this.writeRound(round);
  }

  async close(): Promise<void> {
    this.isClosed = true;
    const writer = this.current;
    this.current = null;
    await writer?.close();
  }

  private async writeRound(records: readonly OutgoingRecord[]): Promise<void> {
    if (this.isClosed) throw new Error('the transport is closed');
    const writer = (this.current ??= this.client.writer());
    try {
      await writer.write(records);
      this.health.succeeded();
    } catch (error) {
      if (brokerErrorType(error) === null) this.discard(writer);
      if (!isAnswer(error)) this.health.failed(error);
      throw isTooLarge(error) ? tooLarge(records, error) : error;
    }
  }

  private discard(failed: RecordWriter): void {
    if (this.current === failed) this.current = null;
    void failed.close();
  }
}

const ANSWERS_OF_A_LIVING_BROKER: readonly (string | null)[] = ['UNKNOWN_TOPIC_OR_PARTITION', 'NOT_LEADER_FOR_PARTITION', 'LEADER_NOT_AVAILABLE'];

/** The broker answered and said no: it is not out of reach. */
function isAnswer(error: unknown): boolean {
  return error instanceof IncompleteAnswerError || isTooLarge(error) || ANSWERS_OF_A_LIVING_BROKER.includes(brokerErrorType(error));
}

/** The broker does not take records of this size. */
function isTooLarge(error: unknown): boolean {
  return ['MESSAGE_TOO_LARGE', 'RECORD_LIST_TOO_LARGE'].includes(brokerErrorType(error) ?? '');
}

function tooLarge(asked: readonly OutgoingRecord[], cause: unknown): MessageTooLargeError {
  const sizes = asked.map(({ topic, value }) => ({ topic, bytes: value?.length ?? 0 }));
  const { topic, bytes } = sizes.reduce((largest, each) => (each.bytes > largest.bytes ? each : largest));
  return MessageTooLargeError.fromBroker(cause, topic, bytes);
}

/** The protocol error type, e.g. MESSAGE_TOO_LARGE, however deep the client has wrapped it. */
export function brokerErrorType(error: unknown): string | null {
  for (let e = error as { type?: unknown; cause?: unknown } | undefined; e !== undefined && e !== null; e = e.cause as typeof e) {
    if (typeof e.type === 'string') return e.type;
  }
  return null;
}

/**
 * All records of one request and partition are one batch, and the broker's size limit is for the batch. So what is too much for
 * one request goes in several, one after the other; nearly always there is one.
 */
function inRounds(records: readonly OutgoingRecord[]): readonly (readonly OutgoingRecord[])[] {
  const rounds: OutgoingRecord[][] = [];
  const filled = new Map<string, { round: number; bytes: number }>();
  for (const record of records) {
    const place = `${record.topic}/${record.partition ?? ''}`;
    const bytes = (record.value?.length ?? 0) + FRAMING_BYTES;
    let fill = filled.get(place);
    if (fill === undefined) filled.set(place, (fill = { round: 0, bytes: 0 }));
    else if (fill.bytes + bytes > RECORD_TARGET_BYTES + 4096) Object.assign(fill, { round: fill.round + 1, bytes: 0 });
    fill.bytes += bytes;
    (rounds[fill.round] ??= []).push(record);
  }
  return rounds;
}
