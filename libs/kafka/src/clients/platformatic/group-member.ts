import { type Connection, heartbeatV4, joinGroupV7, offsetCommitV8, offsetFetchV8, syncGroupV5 } from '@platformatic/kafka';
import { pause, pauseAfter } from '../../backoff.js';
import type { Settings } from '../../connection/options.js';
import type { GroupMember, MemberEvents, MemberOptions, PartitionOffset } from '../client.js';
import { assign, partitionsIn, PROTOCOL, protocolsFor } from './assignment.js';
import type { Cluster } from './cluster.js';
import { isRefusal } from './errors.js';
import { Fetcher } from './fetcher.js';

const FETCH_WAIT_MS = 5_000;
const PROTOCOL_TYPE = 'consumer';
const COORDINATOR_ATTEMPTS = 10;
const NEVER_SAVED = -1n;
/** A member without others sends that many heartbeats in the time of its session, if not fewer: nobody stands still until it hears of a rebalance but who has just come. */
const LONE_HEARTBEATS = 4;

/**
 * A member by the classic group protocol. Heartbeats, offsets and joins have one connection, and reads have others, so that a
 * broker may hold a read for long while nothing comes.
 */
export class PlatformaticMember implements GroupMember {
  private readonly closing = new AbortController();
  private connection: Connection | null = null;
  private memberId = '';
  private generation = -1;
  private isJoining = true;
  /** Of this generation. */
  private isAlone = false;
  private fetcher: Fetcher | null = null;
  /** Resolves when this member has its id, or will never have one. */
  private readonly named: Promise<void>;
  private setNamed!: () => void;

  constructor(private readonly cluster: Cluster, private readonly options: MemberOptions, private readonly events: MemberEvents, private readonly settings: Settings) {
    this.named = new Promise((resolve) => {
      this.setNamed = resolve;
    });
  }

  start(): void {
    this.run().catch((error: unknown) => this.lose(error)).finally(() => this.setNamed());
  }

  async commit(offsets: readonly PartitionOffset[]): Promise<void> {
    if (this.isJoining) throw new Error('the group is rebalancing');
    const partitions = offsets.map(({ partition, offset }) => ({ partitionIndex: partition, committedOffset: BigInt(offset), committedLeaderEpoch: -1, committedMetadata: null }));
    await this.inTime(offsetCommitV8.api.async(this.connection!, this.options.group, this.generation, this.memberId, null, [{ name: this.options.topic, partitions }]));
  }

  throttle(partition: number, full: boolean): void {
    this.fetcher?.throttle(partition, full);
  }

  async leave(): Promise<void> {
    this.closing.abort();
    this.fetcher?.stop();
    await this.named;
    try {
      if (this.memberId !== '') await this.cluster.leaveGroup(this.options.group, this.memberId);
    } finally {
      await this.connection?.close();
    }
  }

  private get hasLeft(): boolean {
    return this.closing.signal.aborted;
  }

  private lose(cause: unknown): void {
    this.fetcher?.stop();
    if (!this.hasLeft) this.events.lost(cause);
  }

  private async run(): Promise<void> {
    this.connection = await this.connect();
    while (!this.hasLeft) {
      const partitions = await this.join();
      if (this.hasLeft) return;
      this.events.alive();
      this.read(partitions, this.events.joined(partitions));
      await this.beat();
      this.fetcher?.stop();
      if (!this.hasLeft) await this.events.rebalancing();
      this.isJoining = true;
    }
  }

  /** The first group of a new cluster makes it create the topic for offsets, and a broker that has just started is still reading it. */
  private async connect(): Promise<Connection> {
    for (let attempt = 1; ; attempt++) {
      try {
        // A join is answered when all others have joined.
        return await this.cluster.connect(await this.cluster.coordinatorOf(this.options.group), this.options.rebalanceTimeoutMs + this.settings.requestTimeoutMs);
      } catch (error) {
        if (attempt === COORDINATOR_ATTEMPTS || this.hasLeft || !isRefusal(error, 'COORDINATOR_NOT_AVAILABLE', 'COORDINATOR_LOAD_IN_PROGRESS')) throw error;
      }
      await pauseAfter(attempt, this.closing.signal, { firstMs: 60, maxMs: 500 });
    }
  }

  /** @returns the partitions of the new generation */
  private async join(): Promise<readonly number[]> {
    for (; !this.hasLeft; ) {
      try {
        const partitions = await this.joinOnce();
        this.isJoining = false;
        return partitions;
      } catch (error) {
        if (isRefusal(error, 'MEMBER_ID_REQUIRED')) this.memberId = (error as { response?: { memberId?: string } }).response?.memberId ?? '';
        else if (isRefusal(error, 'UNKNOWN_MEMBER_ID')) this.memberId = '';
        else if (!isRefusal(error, 'REBALANCE_IN_PROGRESS', 'ILLEGAL_GENERATION')) throw error;
        if (this.memberId !== '') this.setNamed();
      }
    }
    return [];
  }

  private async joinOnce(): Promise<readonly number[]> {
    const { group, topic, partitions, sessionTimeoutMs, rebalanceTimeoutMs } = this.options;
    const joined = await joinGroupV7.api.async(this.connection!, group, sessionTimeoutMs, rebalanceTimeoutMs, this.memberId, null, PROTOCOL_TYPE, protocolsFor(topic), null);
    this.memberId = joined.memberId!;
    this.generation = joined.generationId;
    this.setNamed();
    this.isAlone = joined.leader === this.memberId && joined.members!.length === 1;
    const assignments = joined.leader === this.memberId ? assign(topic, partitions, joined.members!.map(({ memberId }) => memberId)) : [];
    const { assignment } = await syncGroupV5.api.async(this.connection!, group, this.generation, this.memberId, null, PROTOCOL_TYPE, PROTOCOL, assignments);
    return partitionsIn(assignment, topic);
  }

  private read(partitions: readonly number[], positions: readonly PartitionOffset[]): void {
    const { topic, fetchWaitMs = FETCH_WAIT_MS } = this.options;
    const fetcher = new Fetcher(this.cluster, { topic, partitions, fetchWaitMs, requestTimeoutMs: this.settings.requestTimeoutMs, logger: this.settings.logger }, (partition, records) => this.events.read(partition, records));
    this.fetcher = fetcher;
    const run = async (): Promise<void> => fetcher.run(new Map([...(await this.saved(partitions, positions)), ...positions.map(({ partition, offset }) => [partition, offset] as const)]));
    run().catch((error: unknown) => {
      if (this.fetcher === fetcher) this.lose(error);
    });
  }

  /** The saved offsets of all partitions without a position. */
  private async saved(partitions: readonly number[], positions: readonly PartitionOffset[]): Promise<readonly (readonly [number, number])[]> {
    const partitionIndexes = partitions.filter((partition) => !positions.some((position) => position.partition === partition));
    if (partitionIndexes.length === 0) return [];
    const { group, topic } = this.options;
    const { groups } = await this.inTime(offsetFetchV8.api.async(this.connection!, [{ groupId: group, memberEpoch: -1, topics: [{ name: topic, partitionIndexes }] }], false));
    return groups.flatMap(({ topics }) => topics.flatMap((each) => each.partitions.flatMap(({ partitionIndex, committedOffset }) => (committedOffset === NEVER_SAVED ? [] : [[partitionIndex, Number(committedOffset)] as const]))));
  }

  /** Until a rebalance. */
  private async beat(): Promise<void> {
    const { group, heartbeatMs, sessionTimeoutMs } = this.options;
    const everyMs = this.isAlone ? Math.max(heartbeatMs, sessionTimeoutMs / LONE_HEARTBEATS) : heartbeatMs;
    for (;;) {
      await pause(everyMs, this.closing.signal);
      if (this.hasLeft) return;
      try {
        await this.inTime(heartbeatV4.api.async(this.connection!, group, this.generation, this.memberId, null));
      } catch (error) {
        if (isRefusal(error, 'REBALANCE_IN_PROGRESS', 'UNKNOWN_MEMBER_ID', 'ILLEGAL_GENERATION')) return;
        throw error;
      }
      if (!this.hasLeft) this.events.alive();
    }
  }

  /** The connection itself waits as long as a join may take. */
  private async inTime<T>(answer: Promise<T>): Promise<T> {
    const { requestTimeoutMs } = this.settings;
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(() => reject(new Error(`the group's coordinator did not answer within ${requestTimeoutMs} ms`)), requestTimeoutMs);
    });
    try {
      return await Promise.race([answer, late]);
    } finally {
      clearTimeout(timer);
    }
  }
}
