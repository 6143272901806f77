import type { Message } from '#libs/protocol';
import type { InboundBatch } from '#libs/runtime';
import { pauseAfter } from '../backoff.js';
import type { InboxRole } from '../codec/decoder.js';
import { type DecodedRecord, decodeRecord, encodeRecords } from '../codec/record.js';
import type { TransportLogger } from '../logger.js';
import { codeOf, type DeadLetter, type DeadLetterSink, type InboxRecord } from './dead-letter.js';
import { Watermark } from './watermark.js';

/** Records of about this much wait in memory before reading of the partition is paused, and it goes on at a quarter of it. */
const FULL_BYTES = 4 * 1024 * 1024;
/** One delivery holds records of at most about this much. */
const DELIVERY_BYTES = 1024 * 1024;

export interface LaneContext {
  readonly topic: string;
  readonly role: InboxRole;
  deliver(batch: InboundBatch): Promise<void>;
  readonly deadLetters: DeadLetterSink;
  readonly logger: TransportLogger;
  /** Asks the source to stop or to go on reading this partition. */
  throttle(partition: number, full: boolean): void;
}

interface Opened {
  readonly record: InboxRecord;
  readonly decoded: DecodedRecord;
}

/**
 * One partition for as long as this member owns it: buffers what has been read, decodes, puts aside what cannot be
 * understood, delivers the rest in order, one delivery at a time with everything that waits, and knows how far all is done.
 */
export class Lane {
  private readonly watermark = new Watermark();
  private readonly closing = new AbortController();
  private queue: InboxRecord[] = [];
  private queuedBytes = 0;
  private throttled = false;
  private isOpen = false;
  private pump: Promise<void> | null = null;

  /** @param from where reading starts, if that is known already */
  constructor(readonly partition: number, private readonly context: LaneContext, private from: number | null = null) {}

  push(records: readonly InboxRecord[]): void {
    if (this.closed || records.length === 0) return;
    this.from ??= records[0]!.offset;
    for (const record of records) {
      this.queue.push(record);
      this.queuedBytes += sizeOf(record);
    }
    if (this.queuedBytes > FULL_BYTES) this.setThrottled(true);
    this.wake();
  }

  /** From now on records are delivered. */
  open(): void {
    this.isOpen = true;
    this.wake();
  }

  /** Stops deliveries; done() of what was delivered no longer counts. Resolves when no delivery is going on any more. */
  async close(): Promise<void> {
    this.closing.abort();
    this.queue = [];
    await this.pump;
  }

  /** Where reading has to go on for nothing to be left out; null when nothing has been read yet. */
  get position(): number | null {
    return this.watermark.position ?? this.from;
  }

  /** The offset to save for this partition, if it has moved. */
  unsaved(): number | null {
    return this.closed ? null : this.watermark.unsaved();
  }

  saved(position: number): void {
    this.watermark.saved(position);
  }

  private get closed(): boolean {
    return this.closing.signal.aborted;
  }

  private wake(): void {
    if (!this.isOpen || this.closed || this.pump !== null || this.queue.length === 0) return;
    this.pump = this.run().finally(() => {
      this.pump = null;
      this.wake();
    });
  }

  private async run(): Promise<void> {
    while (this.queue.length > 0 && !this.closed) {
      const records = this.take();
      const opened = await this.openRecords(records);
      if (this.closed) return;
      const done = this.watermark.track(records.at(-1)!.offset);
      const messages = opened.flatMap((o) => o.decoded.messages);
      if (messages.length === 0) done();
      else await this.deliver(this.batchOf(messages, opened, done));
    }
  }

  private take(): InboxRecord[] {
    let count = 0;
    let bytes = 0;
    while (count < this.queue.length && (count === 0 || bytes + sizeOf(this.queue[count]!) <= DELIVERY_BYTES)) bytes += sizeOf(this.queue[count++]!);
    this.queuedBytes -= bytes;
    if (this.queuedBytes <= FULL_BYTES / 4) this.setThrottled(false);
    return this.queue.splice(0, count);
  }

  private setThrottled(full: boolean): void {
    if (full === this.throttled) return;
    this.throttled = full;
    this.context.throttle(this.partition, full);
  }

  private async openRecords(records: readonly InboxRecord[]): Promise<Opened[]> {
    const opened: Opened[] = [];
    for (const record of records) {
      const decoded = await this.decode(record);
      if (decoded !== null) opened.push({ record, decoded });
    }
    return opened;
  }

  private async decode(record: InboxRecord): Promise<DecodedRecord | null> {
    let decoded: DecodedRecord;
    try {
      decoded = decodeRecord(record.value, this.context.role);
    } catch (error) {
      // Whatever it is that a record does to the decoder, the records behind it must not wait for it.
      await this.bury(this.letterOf(record, record.value, error, (error as Error).message));
      return null;
    }
    if (decoded.rejected.length > 0) await this.bury(this.letterOf(record, record.value, decoded.rejected[0]!.error, describeRejected(decoded)));
    return decoded;
  }

  private batchOf(messages: readonly Message[], opened: readonly Opened[], done: () => void): InboundBatch {
    return {
      partition: this.partition,
      messages,
      done: () => {
        if (!this.closed) done();
      },
      deadLetter: async (message, error) => {
        const origin = opened.find((o) => o.decoded.messages.includes(message));
        if (origin === undefined) throw new Error('deadLetter: the message is not part of this batch');
        await this.bury(this.letterOf(origin.record, aloneInRecord(message, origin), error, error.message));
        if (this.closed) throw new Error('the partition was taken away before the dead letter was acknowledged');
      },
    };
  }

  private letterOf(record: InboxRecord, value: Buffer | null, error: unknown, message: string): DeadLetter {
    const origin = { topic: this.context.topic, partition: this.partition, offset: record.offset, key: record.key };
    return { origin, value, headers: record.headers, errorCode: codeOf(error), errorMessage: message, atMs: Date.now() };
  }

  /** Until the letter is acknowledged the partition waits: nothing is skipped that is not kept elsewhere. */
  private async bury(letter: DeadLetter): Promise<void> {
    await this.untilDone('could not write a dead letter', () => this.context.deadLetters.put(letter));
    const { topic, partition, offset } = letter.origin;
    this.context.logger.warn({ topic, partition, offset, code: letter.errorCode, error: letter.errorMessage }, 'record put into the dead-letter topic');
  }

  private async deliver(batch: InboundBatch): Promise<void> {
    await this.untilDone('the subscriber refused a batch; it is delivered again', () => this.context.deliver(batch));
  }

  private async untilDone(complaint: string, work: () => Promise<void>): Promise<void> {
    for (let attempt = 1; !this.closed; attempt++) {
      try {
        return await work();
      } catch (error) {
        this.context.logger.warn({ topic: this.context.topic, partition: this.partition, attempt, err: error }, complaint);
        await pauseAfter(attempt, this.closing.signal);
      }
    }
  }
}

function describeRejected({ rejected }: DecodedRecord): string {
  const more = rejected.length === 1 ? '' : ` (and ${rejected.length - 1} more: ${rejected.slice(1, 20).map((r) => r.index).join(', ')})`;
  return rejected[0]!.error.message + more;
}

/** Alone in its record, a message can be replayed without repeating its neighbours. */
function aloneInRecord(message: Message, { decoded, record }: Opened): Buffer | null {
  try {
    return encodeRecords(decoded.sender, [message])[0]!;
  } catch {
    // A foreign producer may have used all that the broker takes; the whole record is then the next best.
    return record.value;
  }
}

function sizeOf(record: InboxRecord): number {
  return (record.value?.length ?? 0) + 64;
}
