import type { Message } from '#libs/protocol';
import type { InboundBatch } from '../ports.js';
import type { Lane } from './lane.js';
import type { Ticket } from './ticket.js';

/** One message whose transaction may not have been loaded yet. */
export interface EarlyMessage {
  readonly message: Message;
  readonly ticket: Ticket;
}

/**
 * One tenure of a shard: a new object for every epoch, so that nothing of an old tenure is taken for the new one's.
 * owned    its transactions may be worked on
 * fenced   another owner has raised the epoch, but the partition is still assigned to this member
 * lost     the partition went to another member
 */
export class Shard {
  state: 'owned' | 'fenced' | 'lost' = 'owned';
  recovered = false;
  /** Resolves when recovery is complete or has become pointless. */
  recovery: Promise<void> = Promise.resolve();
  inFlight = 0;
  /** Until recovery is complete: messages for transactions that are not in memory. */
  readonly early: EarlyMessage[] = [];
  /** While fenced: what was delivered, for the next tenure. */
  readonly undone = new Set<InboundBatch>();
  /** Resolves when this tenure is over and, if the shard was fenced, when that is settled one way or the other. */
  readonly over: Promise<void>;
  /** While fenced: when it is acquired again if it is still assigned then, as Clock.elapsed() counts. */
  retryAtMs = Number.POSITIVE_INFINITY;
  /** While fenced: nobody else has taken it, it was let go of after a defect. */
  isOwnDefect = false;
  private settle: () => void = () => {};

  /** @param sinceMs when the tenure began, as Clock.elapsed() counts */
  constructor(readonly id: number, readonly epoch: number, readonly lane: Lane, readonly sinceMs: number) {
    this.over = new Promise((resolve) => {
      this.settle = resolve;
    });
  }

  /** Another tenure, here or elsewhere, has taken over. */
  close(): void {
    this.state = 'lost';
    this.settle();
  }
}
