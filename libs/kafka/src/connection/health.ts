import { pauseAfter } from '../backoff.js';
import type { TransportLogger } from '../logger.js';

/** Whether the brokers answer. Knows from traffic; only while they do not, it asks by itself. */
export class Health {
  private failing = false;
  private probing: Promise<void> | null = null;
  private readonly closing = new AbortController();

  /** @param probe resolves when a broker answers */
  constructor(private readonly probe: () => Promise<void>, private readonly logger: TransportLogger) {}

  healthy(): boolean {
    return !this.failing;
  }

  succeeded(): void {
    if (!this.failing) return;
    this.failing = false;
    this.logger.info({}, 'Kafka is back');
  }

  failed(error: unknown): void {
    if (!this.failing) this.logger.warn({ err: error }, 'Kafka is out of reach');
    this.failing = true;
    this.watch();
  }

  /** Something went wrong that may or may not mean that the brokers are gone: find out. */
  suspect(error: unknown): void {
    this.watch(error);
  }

  async close(): Promise<void> {
    this.closing.abort();
    await this.probing;
  }

  private watch(suspicion?: unknown): void {
    if (this.probing !== null || this.closing.signal.aborted) return;
    this.probing = this.ask(suspicion).finally(() => {
      this.probing = null;
    });
  }

  private async ask(suspicion: unknown): Promise<void> {
    for (let attempt = 1; !this.closing.signal.aborted; attempt++) {
      try {
        await this.probe();
        return this.succeeded();
      } catch (error) {
        if (!this.failing) this.logger.warn({ err: suspicion ?? error }, 'Kafka is out of reach');
        this.failing = true;
      }
      await pauseAfter(attempt, this.closing.signal, { firstMs: 100, maxMs: 500 });
    }
  }
}
