import type { Announce } from '#libs/protocol';
import type { Transport } from '#libs/runtime';

export interface AnnouncerOptions {
  readonly transport: Transport;
  readonly announcement: Announce;
  /** Default 10,000. */
  readonly everyMs?: number;
  /** Pause after an announcement that could not be sent. Default 1,000. */
  readonly retryMs?: number;
  readonly onError: (error: unknown) => void;
}

/** Tells the coordinators, now and then again, what this instance offers: they refuse what nobody has announced. */
export class Announcer {
  private timer: NodeJS.Timeout | null = null;
  private stopped = false;
  private sending: Promise<void> = Promise.resolve();

  constructor(private readonly options: AnnouncerOptions) {}

  start(): void {
    this.sending = this.announce();
  }

  /** Resolves when nothing is being sent any more. */
  async stop(): Promise<void> {
    this.stopped = true;
    if (this.timer !== null) clearTimeout(this.timer);
    await this.sending;
  }

  private async announce(): Promise<void> {
    const { transport, announcement, everyMs = 10_000, retryMs = 1_000, onError } = this.options;
    let nextMs = everyMs;
    try {
      await transport.send([{ to: { role: 'coordinator' }, message: announcement }]);
    } catch (error) {
      nextMs = Math.min(retryMs, everyMs);
      onError(error);
    }
    if (!this.stopped) this.timer = setTimeout(() => { this.sending = this.announce(); }, nextMs);
  }
}
