import type { Subscriber } from '#libs/runtime';
import type { Kafka } from 'kafkajs';
import { pauseAfter } from '../backoff.js';
import type { InboxRole } from '../codec/decoder.js';
import type { Health } from '../connection/health.js';
import { removePredecessors } from '../connection/predecessors.js';
import type { DeadLetterSink } from '../inbox/dead-letter.js';
import { InboxSession } from '../inbox/session.js';
import { Membership, type MembershipContext } from './membership.js';

export interface GroupConsumerContext extends Omit<MembershipContext, 'session' | 'alive'> {
  /** For what is not on the hot path. */
  readonly kafka: Kafka;
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
  private lastAliveMs = performance.now();
  /** Of the wall clock, before the clock that never jumps. */
  private wallAheadMs = Date.now() - performance.now();
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
    await this.removePredecessors();
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

  private async removePredecessors(): Promise<void> {
    const { kafka, group, settings } = this.context;
    try {
      const count = await removePredecessors(kafka, group, settings.clientId);
      if (count > 0) settings.logger.info({ group, count }, 'took the place of an earlier process of the same name');
    } catch (error) {
      // Then the group finds out by itself.
      settings.logger.debug({ group, err: error }, 'could not look for an earlier process of the same name');
    }
  }

  private join(): Membership {
    const membership = new Membership({ ...this.context, session: this.session, alive: () => { this.lastAliveMs = performance.now(); } });
    this.membership = membership;
    membership.start();
    return membership;
  }

  private tick(): void {
    if (this.isSetBack() && this.membership?.joined === true) return this.membership.giveUp(new Error('the wall clock was set back'));
    const silentMs = performance.now() - this.lastAliveMs;
    if (silentMs > this.context.settings.sessionTimeoutMs) this.context.health.suspect(new Error(`no heartbeat was answered for ${silentMs} ms`));
    if (silentMs < this.context.settings.detachAfterMs) return void this.membership?.save();
    if (this.session.partitions.length > 0) this.session.assign([]);
    // Without a new consumer a group that comes back with its memory intact would go on with this member, which has let go.
    if (this.membership?.joined === true) this.membership.giveUp(new Error(`no heartbeat was answered for ${silentMs} ms`));
  }

  /** kafkajs counts its heartbeats by the wall clock: set back, it sends none until that time has come again, and the group goes on without it. A new consumer begins to count anew. */
  private isSetBack(): boolean {
    const before = this.wallAheadMs;
    this.wallAheadMs = Date.now() - performance.now();
    return before - this.wallAheadMs > this.context.settings.sessionTimeoutMs / 2;
  }
}
