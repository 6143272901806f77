import type { InboundBatch } from '../ports.js';
import type { Shard } from './shard.js';

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
}
