import type { GroupMember, KafkaClient, PartitionOffset } from '../clients/client.js';
import type { Settings } from '../connection/options.js';
import type { InboxRecord } from '../inbox/dead-letter.js';
import type { InboxSession } from '../inbox/session.js';

const REBALANCE_TIMEOUT_MS = 10_000;
const LEAVE_TIMEOUT_MS = 5_000;

export interface MembershipContext {
  readonly client: KafkaClient;
  readonly topic: string;
  readonly group: string;
  readonly partitions: number;
  readonly session: InboxSession;
  readonly settings: Settings;
  /** Called whenever the group has confirmed this member. */
  alive(): void;
}

/**
 * One member of the group from its start to its end. A client gives up on errors that it takes for permanent, so a membership
 * ends, and another one follows. What is read goes to the session's lanes, which are bounded by pausing single partitions.
 */
export class Membership {
  /** Resolves with the cause when this member is of no use any more. */
  readonly ended: Promise<unknown>;
  private readonly member: GroupMember;
  private end!: (cause: unknown) => void;
  private isOver = false;
  private saving: Promise<void> | null = null;
  private joinedOnce = false;

  constructor(private readonly context: MembershipContext) {
    this.ended = new Promise((resolve) => {
      this.end = (cause) => {
        this.isOver = true;
        resolve(cause);
      };
    });
    const { client, group, topic, partitions, settings: { sessionTimeoutMs, heartbeatMs, fetchWaitMs } } = context;
    const rebalanceTimeoutMs = Math.max(REBALANCE_TIMEOUT_MS, sessionTimeoutMs);
    this.member = client.member({ group, topic, partitions, sessionTimeoutMs, rebalanceTimeoutMs, heartbeatMs, ...(fetchWaitMs === undefined ? {} : { fetchWaitMs }) }, {
      joined: (assigned) => this.begin(assigned),
      alive: () => {
        this.refuseIfOver();
        context.alive();
      },
      rebalancing: () => this.save(),
      read: (partition, records) => this.take(partition, records),
      lost: (cause) => this.end(cause),
    });
  }

  get joined(): boolean {
    return this.joinedOnce;
  }

  start(): void {
    this.member.start();
  }

  /** Declares the member lost although its client has not noticed. */
  giveUp(cause: Error): void {
    this.end(cause);
  }

  /** Saves offsets of everything that is done, if anything new is. Never rejects: what was not saved is tried again next time. */
  async save(): Promise<void> {
    if (!this.joinedOnce) return;
    this.saving ??= this.saveOnce().finally(() => {
      this.saving = null;
    });
    await this.saving;
  }

  /** Leaves the group, so that others take the partitions over at once. */
  async leave(): Promise<void> {
    this.isOver = true;
    const hurry = new AbortController();
    const timeout = new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, LEAVE_TIMEOUT_MS);
      hurry.signal.addEventListener('abort', () => clearTimeout(timer));
    });
    await Promise.race([this.member.leave().catch(() => {}), timeout]);
    hurry.abort();
  }

  /** For the source's backpressure. */
  throttle(partition: number, full: boolean): void {
    if (!this.isOver) this.member.throttle(partition, full);
  }

  /** Every join reads from the start positions again, even when the partitions are the same: always a new generation. */
  private begin(partitions: readonly number[]): readonly PartitionOffset[] {
    this.refuseIfOver();
    this.joinedOnce = true;
    const { session } = this.context;
    session.assign(partitions);
    return session.partitions.flatMap((partition) => {
      const offset = session.positionOf(partition);
      return offset === null ? [] : [{ partition, offset }];
    });
  }

  private take(partition: number, records: readonly InboxRecord[]): void {
    this.refuseIfOver();
    this.context.session.push(partition, records);
  }

  /** Ends a client that goes on although it has been given up. */
  private refuseIfOver(): void {
    if (this.isOver) throw new Error('this member has been replaced');
  }

  private async saveOnce(): Promise<void> {
    const positions = this.context.session.unsaved();
    if (positions.length === 0) return;
    const { topic, settings } = this.context;
    try {
      settings.savingOffsets?.before();
      await this.member.commit(positions);
      settings.savingOffsets?.after();
      for (const position of positions) position.saved();
    } catch (error) {
      // Mostly a rebalance. Those records come again, which every reader can bear.
      settings.logger.debug({ topic, err: error }, 'offsets could not be saved');
    }
  }
}
