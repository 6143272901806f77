import { type Envelope, makeTxid, type Message, type Txid } from '#libs/protocol';
import type { InboundBatch, Subscriber } from '#libs/runtime';

let serial = 0;

/** A new txid that is homed on the shard. */
export function txidOn(shard: number): Txid {
  const random = Buffer.alloc(8);
  random.writeUInt32BE(++serial, 4);
  return makeTxid(shard, 1_700_000_000_000, random);
}

export function ackOn(shard: number): Message & { txid: Txid } {
  return { kind: 'ACK', txid: txidOn(shard), branch: 0 };
}

export function toCoordinator(message: Message): Envelope {
  return { to: { role: 'coordinator' }, message };
}

/** Waits until a condition holds; the condition is looked at whenever the event loop comes round. */
export async function until(what: string, holds: () => boolean, timeoutMs = 5_000): Promise<void> {
  for (const deadline = Date.now() + timeoutMs; !holds(); ) {
    if (Date.now() > deadline) throw new Error(`never came true: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
}

/** A subscriber that writes down what it is given; by default everything is done at once. */
export class Recorder implements Subscriber {
  readonly assignments: (readonly number[])[] = [];
  readonly batches: InboundBatch[] = [];

  constructor(private readonly onBatch: (batch: InboundBatch, seen: number) => void | Promise<void> = (batch) => batch.done()) {}

  get partitions(): readonly number[] {
    return this.assignments.at(-1) ?? [];
  }

  get messages(): readonly Message[] {
    return this.batches.flatMap((batch) => batch.messages);
  }

  async assigned(partitions: readonly number[]): Promise<void> {
    this.assignments.push(partitions);
  }

  async deliver(batch: InboundBatch): Promise<void> {
    this.batches.push(batch);
    await this.onBatch(batch, this.batches.length);
  }
}
