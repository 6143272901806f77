import { isLazy, type Envelope } from '#libs/protocol';
import type { Clock, OutcomeEvent, Transport } from './ports.js';
import { type Backoff, backoffMs, pause } from './retry.js';

export interface OutboxOptions {
  readonly transport: Pick<Transport, 'send'>;
  readonly clock: Clock;
  /** How long messages that nobody waits for may wait for company. */
  readonly lazyMs: number;
  /** True while something is under way that is likely to send soon: lazy messages go on waiting for it, up to `BUSY_FACTOR` times as long. */
  busy?(): boolean;
  /** At most about this many envelopes in one send. */
  readonly maxBatch: number;
  onError(error: unknown): void;
}

interface Parcel {
  readonly envelopes: readonly Envelope[];
  readonly outcomes: readonly OutcomeEvent[];
  readonly onSent: (() => void) | null;
}

/** A flush under load takes longer than `lazyMs`; a message that just missed its company would cost everybody a round of its own. */
const BUSY_FACTOR = 5;
const BACKOFF: Backoff = { firstMs: 20, maxMs: 2_000 };

/**
 * Sends in the order of `push`, one send at a time; what comes meanwhile goes with the next one. A rejected send is repeated
 * until it is acknowledged. Lazy messages wait for `lazyMs`, longer while
 * `busy`, and go at once with anything that is not lazy.
 */
export class Outbox {
  private waiting: Parcel[] = [];
  private running: Promise<void> | null = null;
  private takeBackLazy: (() => void) | null = null;
  private readonly closing = new AbortController();
  private failingSince: number | null = null;
  private envelopesWaiting = 0;

  constructor(private readonly options: OutboxOptions) {}

  /** Envelopes not acknowledged yet, those being sent included. */
  get unsent(): number {
    return this.envelopesWaiting;
  }

  /** Since when, as Clock.elapsed() counts, sends have failed without a success; null: they have not. */
  get failingSinceMs(): number | null {
    return this.failingSince;
  }

  /**
   * @param onSent called once these and all earlier messages are acknowledged
   * @param isUrgent somebody waits: nothing waits for company
   */
  push(envelopes: readonly Envelope[], outcomes: readonly OutcomeEvent[] = [], onSent: (() => void) | null = null, isUrgent = false): void {
    if (this.closing.signal.aborted) return;
    if (envelopes.length === 0 && outcomes.length === 0 && this.running === null && this.waiting.length === 0) {
      if (onSent !== null) this.tell(onSent);
      return;
    }
    this.waiting.push({ envelopes, outcomes, onSent });
    this.envelopesWaiting += envelopes.length;
    if (this.running !== null) return;
    if (isUrgent || envelopes.some((envelope) => !isLazy(envelope.message))) this.start();
    else if (this.takeBackLazy === null) this.armLazy(BUSY_FACTOR);
  }

  /** Sends everything now; resolves when it is acknowledged or the outbox is closed. */
  async drain(): Promise<void> {
    while (this.running !== null || this.waiting.length > 0) {
      this.start();
      await this.running;
      if (this.closing.signal.aborted) return;
    }
  }

  /** Ends retries and forgets what waits; resolves when the send in flight has returned. */
  async close(): Promise<void> {
    this.closing.abort();
    this.takeBackLazy?.();
    this.waiting = [];
    await this.running;
  }

  private armLazy(patience: number): void {
    const { clock, lazyMs, busy } = this.options;
    this.takeBackLazy = clock.at(clock.now() + lazyMs, () => {
      if (patience > 1 && busy?.() === true) this.armLazy(patience - 1);
      else this.start();
    });
  }

  private start(): void {
    this.takeBackLazy?.();
    this.takeBackLazy = null;
    this.running ??= this.run();
  }

  private async run(): Promise<void> {
    await new Promise((resolve) => setImmediate(resolve));
    // What gathered behind a send is not held back again: it has had company to wait for.
    while (this.waiting.length > 0) await this.send(this.take());
    this.running = null;
  }

  private take(): readonly Parcel[] {
    let count = 0;
    for (let envelopes = 0; count < this.waiting.length && envelopes < this.options.maxBatch; count++) envelopes += this.waiting[count]!.envelopes.length;
    return this.waiting.splice(0, count);
  }

  private async send(parcels: readonly Parcel[]): Promise<void> {
    const envelopes = parcels.flatMap((parcel) => parcel.envelopes);
    const outcomes = parcels.flatMap((parcel) => parcel.outcomes);
    if ((envelopes.length > 0 || outcomes.length > 0) && !(await this.untilAcknowledged(envelopes, outcomes))) return;
    this.envelopesWaiting -= envelopes.length;
    for (const { onSent } of parcels) if (onSent !== null) this.tell(onSent);
  }

  /** A defect of whoever sent one parcel must not keep the others', and all that are to come, from being sent. */
  private tell(onSent: () => void): void {
    try {
      onSent();
    } catch (error) {
      this.options.onError(error);
    }
  }

  /** @returns false if the outbox is closed before */
  private async untilAcknowledged(envelopes: readonly Envelope[], outcomes: readonly OutcomeEvent[]): Promise<boolean> {
    const { transport, clock, onError } = this.options;
    for (let attempt = 0; ; attempt++) {
      try {
        await transport.send(envelopes, outcomes);
        this.failingSince = null;
        return true;
      } catch (error) {
        if (isHopeless(error)) return this.withoutCulprit(envelopes, outcomes, error);
        this.failingSince ??= clock.elapsed();
        onError(error);
      }
      if (!this.closing.signal.aborted) await pause(clock, backoffMs(attempt, BACKOFF), this.closing.signal);
      if (this.closing.signal.aborted) return false;
    }
  }

  /** What no broker takes must not hold up the rest for ever. Whoever waits for it has a timeout or asks again. */
  private async withoutCulprit(envelopes: readonly Envelope[], outcomes: readonly OutcomeEvent[], error: unknown): Promise<boolean> {
    if (envelopes.length + outcomes.length === 1) {
      this.options.onError(error);
      return true;
    }
    if (envelopes.length > 0 && outcomes.length > 0) {
      return (await this.untilAcknowledged(envelopes, [])) && this.untilAcknowledged([], outcomes);
    }
    const middle = Math.ceil((envelopes.length + outcomes.length) / 2);
    return (await this.untilAcknowledged(envelopes.slice(0, middle), outcomes.slice(0, middle)))
      && this.untilAcknowledged(envelopes.slice(middle), outcomes.slice(middle));
  }
}

/** The transport says that repeating the whole cannot help. */
function isHopeless(error: unknown): boolean {
  return (error as { code?: unknown } | null)?.code === 'MESSAGE_TOO_LARGE';
}
