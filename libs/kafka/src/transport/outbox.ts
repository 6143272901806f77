import type { Envelope } from '#libs/protocol';
import { type OutcomeEvent, UnavailableError } from '#libs/runtime';
import { pauseAfter } from '../backoff.js';
import { MessageTooLargeError } from '../codec/errors.js';
import type { TransportLogger } from '../logger.js';

/** Messages and outcomes of one attempt are about this many at most. */
const MAX_ITEMS = 5_000;
const CLOSE_GRACE_MS = 2_000;
const RETRY_AFTER_MS = 1_000;

/** Makes one attempt; a rejection means that any subset may have left. */
export type Ship = (envelopes: readonly Envelope[], outcomes: readonly OutcomeEvent[]) => Promise<void>;

interface Parcel {
  readonly envelopes: readonly Envelope[];
  readonly outcomes: readonly OutcomeEvent[];
  resolve(): void;
  reject(error: unknown): void;
}

/**
 * Sends one thing after the other and repeats what failed before anything newer, so that order survives an outage. What
 * arrives meanwhile leaves together in the next produce request: the busier, the fewer requests per message.
 */
export class Outbox {
  private readonly waiting: Parcel[] = [];
  private readonly closing = new AbortController();
  private pump: Promise<void> | null = null;
  private isClosed = false;

  constructor(private readonly ship: Ship, private readonly logger: TransportLogger) {}

  /** Resolves when all has been shipped. */
  send(envelopes: readonly Envelope[], outcomes: readonly OutcomeEvent[]): Promise<void> {
    if (this.isClosed) return Promise.reject(closedError());
    return new Promise((resolve, reject) => {
      this.waiting.push({ envelopes, outcomes, resolve, reject });
      this.pump ??= this.run();
    });
  }

  /** Takes no more, lets what waits leave if that is soon possible, and refuses the rest. */
  async close(): Promise<void> {
    this.isClosed = true;
    const timer = setTimeout(() => this.closing.abort(), CLOSE_GRACE_MS);
    await this.pump;
    clearTimeout(timer);
  }

  private async run(): Promise<void> {
    // What is sent in the same turn of the event loop's microtasks leaves together.
    await Promise.resolve();
    while (this.waiting.length > 0) await this.deliver(this.take());
    this.pump = null;
  }

  private take(): readonly Parcel[] {
    let count = 0;
    let items = 0;
    while (count < this.waiting.length && (count === 0 || items + sizeOf(this.waiting[count]!) <= MAX_ITEMS)) items += sizeOf(this.waiting[count++]!);
    return this.waiting.splice(0, count);
  }

  private async deliver(parcels: readonly Parcel[]): Promise<void> {
    for (let attempt = 1; !this.closing.signal.aborted; attempt++) {
      try {
        await this.ship(parcels.flatMap((p) => p.envelopes), parcels.flatMap((p) => p.outcomes));
        return parcels.forEach((parcel) => parcel.resolve());
      } catch (error) {
        if (error instanceof MessageTooLargeError) return await this.separate(parcels, error);
        this.logger.debug({ attempt, parcels: parcels.length, err: error }, 'could not send; trying again');
      }
      await pauseAfter(attempt, this.closing.signal, { firstMs: 50, maxMs: 1_000 });
    }
    for (const parcel of parcels) parcel.reject(closedError());
  }

  /** Only the parcel at fault is refused, not those that were to travel with it. */
  private async separate(parcels: readonly Parcel[], error: unknown): Promise<void> {
    if (parcels.length === 1) return parcels[0]!.reject(error);
    for (const parcel of parcels) await this.deliver([parcel]);
  }
}

export function closedError(): UnavailableError {
  return new UnavailableError('TRANSPORT_UNAVAILABLE', 'the transport is closed', RETRY_AFTER_MS);
}

function sizeOf({ envelopes, outcomes }: Parcel): number {
  return envelopes.length + outcomes.length;
}
