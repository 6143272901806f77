import type { Message } from '#libs/protocol';
import type { InboundBatch } from '../ports.js';
import type { Shard } from './shard.js';
import type { CoordinatorObserver } from './types.js';

/** Calls the batch's `done` when everything that follows from it is durable and sent: when the last holder has let go. */
export class Ticket {
  private holders = 1;

  constructor(readonly batch: InboundBatch, readonly shard: Shard) {}

  hold(): void {
    this.holders++;
  }

  release(): void {
    if (--this.holders === 0) this.batch.done();
  }

  /** One of its messages goes to the dead letters; the batch is not done before it is there. */
  bury(message: Message, error: Error, observer: CoordinatorObserver): void {
    observer.error(error, `message ${message.kind}`);
    this.hold();
    this.batch.deadLetter(message, error).then(() => this.release(), (fault: unknown) => observer.error(fault, 'dead letter'));
  }
}
