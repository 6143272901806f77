import type { Subscriber } from '#libs/runtime';
import { pauseAfter } from '../backoff.js';
import type { InboxRole } from '../codec/messages.js';
import type { Health } from '../connection/health.js';
import type { DeadLetterSink } from '../inbox/dead-letter.js';
import { InboxSession } from '../inbox/session.js';
import { Membership, type MembershipContext } from './membership.js';

export interface GroupConsumerContext extends Omit<MembershipContext, 'session' | 'alive'> {
  readonly role: InboxRole;
  readonly subscriber: Subscriber;
  readonly deadLetters: DeadLetterSink;
  readonly health: Health;
}

/** Keeps one subscriber in its consumer group, whatever happens to brokers and connections, until closed. */
export class GroupConsumer {
  private readonly session: InboxSession;
  private readonly closing = new AbortController();
  private membership: Membership | null = null;
  private lastAliveMs = Date.now();
  private ticker: NodeJS.Timeout | null = null;
  private loop: Promise<void> | null = null;

  constructor(private readonly context: GroupConsumerContext) {
    this.session = new InboxSession(context.subscriber, {
      topic: context.topic,
      role: context.role,
      deadLetters: context.deadLetters,
      logger: context.settings.logger,
      throttle: (partition, full) => this.membership?.throttle(partition, full),
    });
  }

  start(): void {
    this.ticker = setInterval(() => this.tick(), this.context.settings.saveOffsetsEveryMs);
    this.loop = this.run();
  }

  /** Stops delivery, saves offsets of what is done, leaves the group. */
  async close(): Promise<void> {
    if (this.ticker !== null) clearInterval(this.ticker);
    await this.membership?.save();
    this.closing.abort();
    this.session.close();
    await this.membership?.leave();
    await this.loop;
  }

  private async run(): Promise<void> {
    const closed = new Promise<void>((resolve) => this.closing.signal.addEventListener('abort', () => resolve(), { once: true }));
    for (let failures = 0; !this.closing.signal.aborted; ) {
      const membership = this.join();
      const cause = await Promise.race([membership.ended, closed]);
      if (this.closing.signal.aborted) return;
      failures = membership.joined ? 1 : failures + 1;
      // Once per outage is enough for people: the attempts that follow fail alike.
      this.context.settings.logger[failures === 1 ? 'warn' : 'debug']({ group: this.context.group, err: cause, failures }, 'consumer lost, joining again');
      this.context.health.suspect(cause);
      await membership.leave();
      await pauseAfter(failures, this.closing.signal, { firstMs: 100, maxMs: 1_000 });
    }
  }

  private join(): Membership {
    const membership = new Membership({ ...this.context, session: this.session, alive: () => { this.lastAliveMs = Date.now(); } });
    this.membership = membership;
    membership.start();
    return membership;
  }

  private tick(): void {
    const silentMs = Date.now() - this.lastAliveMs;
    if (silentMs > this.context.settings.sessionTimeoutMs) this.context.health.suspect(new Error(`no heartbeat was answered for ${silentMs} ms`));
    if (silentMs < this.context.settings.detachAfterMs) return void this.membership?.save();
    if (this.session.partitions.length > 0) this.session.assign([]);
    // Without a new consumer a group that comes back with its memory intact would go on with this member, which has let go.
    if (this.membership?.joined === true) this.membership.giveUp(new Error(`no heartbeat was answered for ${silentMs} ms`));
  }
}
