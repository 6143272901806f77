import type { Alert, AlertOutbox } from '#libs/postgres';
import { type Backoff, backoffMs } from '#libs/runtime';
import type { Logger } from '#libs/service';
import type { Delivery } from './webhook.js';

export interface AlertsDeps {
  readonly outbox: Pick<AlertOutbox, 'collect' | 'claim' | 'postpone' | 'end' | 'waiting' | 'clean'>;
  readonly deliver: (alert: Alert, stopping: AbortSignal) => Promise<Delivery>;
  readonly told: (result: 'delivered' | 'failed' | 'given-up') => void;
  readonly waiting: (alerts: number) => void;
  readonly logger: Logger;
}

/** Alerts of transactions that this instance does not own, and those that a crash has left behind, are found by looking. */
const LOOK_MS = 3_000;
const CLEAN_MS = 3_600_000;
const AT_ONCE = 10;
/** Longer than a delivery takes at most. */
const LEASE_MS = 30_000;
const RETRY: Backoff = { firstMs: 1_000, maxMs: 300_000 };
const GIVE_UP_AFTER_MS = 24 * 3_600_000;

/**
 * Tells somebody outside, at least once, that a transaction needs a person. The outbox remembers what is to be told; any instance delivers,
 * and takes over what another one left.
 */
export class Alerts {
  private timer: NodeJS.Timeout | null = null;
  private running: Promise<void> | null = null;
  private again = false;
  private cleanedAtMs = Number.NEGATIVE_INFINITY;
  private readonly stopping = new AbortController();

  constructor(private readonly deps: AlertsDeps) {}

  start(): void {
    this.timer = setInterval(() => this.wake(), LOOK_MS);
    this.timer.unref();
    this.wake();
  }

  /** Looks now: something has come to need attention. */
  wake(): void {
    if (this.timer === null) return;
    this.again = true;
    this.running ??= this.run().finally(() => { this.running = null; });
  }

  /** Ends deliveries that are under way; they are due again for whoever looks next. */
  async stop(): Promise<void> {
    if (this.timer !== null) clearInterval(this.timer);
    this.timer = null;
    this.stopping.abort();
    await this.running;
  }

  private async run(): Promise<void> {
    while (this.again && !this.stopping.signal.aborted) {
      this.again = false;
      try {
        await this.round();
      } catch (error) {
        this.deps.logger.warn({ err: error }, 'cannot look for alerts now');
      }
    }
  }

  private async round(): Promise<void> {
    const { outbox, waiting } = this.deps;
    await outbox.collect();
    const alerts = await outbox.claim(AT_ONCE, LEASE_MS);
    await Promise.all(alerts.map((alert) => this.tell(alert)));
    waiting(await outbox.waiting());
    if (alerts.length === AT_ONCE) this.again = true;
    if (performance.now() - this.cleanedAtMs < CLEAN_MS) return;
    this.cleanedAtMs = performance.now();
    await outbox.clean();
  }

  private async tell(alert: Alert): Promise<void> {
    const { outbox, told, logger } = this.deps;
    const delivery = await this.deps.deliver(alert, this.stopping.signal);
    if (delivery.kind === 'delivered') {
      told('delivered');
      return outbox.end(alert.txid, true);
    }
    const { txid, attempts } = alert;
    if (delivery.kind === 'gone' || alert.ageMs >= GIVE_UP_AFTER_MS) {
      told('given-up');
      logger.error({ txid, attempts, why: delivery.why }, 'gave up telling the webhook that a transaction needs a person');
      return outbox.end(txid, false);
    }
    told('failed');
    logger.warn({ txid, attempts, why: delivery.why }, 'the webhook did not take an alert; it is sent again');
    return outbox.postpone(txid, retryMs(attempts));
  }
}

/** Doubling, less up to a half: what failed together must not come back together. */
export function retryMs(attempts: number, random = Math.random()): number {
  return backoffMs(attempts - 1, RETRY) * (1 - random / 2);
}
