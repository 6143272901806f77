import { type Connection, fetchV12, listOffsetsV7, ResponseError } from '@platformatic/kafka';
import { pause, pauseAfter } from '../../backoff.js';
import type { InboxRecord } from '../../inbox/dead-letter.js';
import type { TransportLogger } from '../../logger.js';
import type { Broker, Cluster } from './cluster.js';
import { isRefusal } from './errors.js';
import { type Fetched, type FetchedPartition, readable } from './fetched.js';

const MAX_BYTES = 10 * 1024 * 1024;
const MAX_PARTITION_BYTES = 1024 * 1024;
/** While reading of a partition is paused: it must not wait for the others' silence when it goes on. */
const PAUSED_WAIT_MS = 100;
const MAX_FAILURES = 6;
const READ_COMMITTED = 1;
const EARLIEST = -2n;
const ANY_EPOCH = -1;

export interface FetcherOptions {
  readonly topic: string;
  readonly partitions: readonly number[];
  readonly fetchWaitMs: number;
  readonly requestTimeoutMs: number;
  readonly logger: TransportLogger;
}

/** Reads the partitions of one generation, with one loop per broker that leads some of them. */
export class Fetcher {
  private readonly stopping = new AbortController();
  private readonly paused = new Set<number>();
  private readonly positions = new Map<number, number>();
  private failures = 0;

  constructor(private readonly cluster: Cluster, private readonly options: FetcherOptions, private readonly take: (partition: number, records: readonly InboxRecord[]) => void) {}

  /**
   * Reads until stopped. Rejects when that fails again and again.
   * @param from the offsets to begin with; partitions that are missing are read from their beginning
   */
  async run(from: ReadonlyMap<number, number>): Promise<void> {
    for (const [partition, offset] of from) this.positions.set(partition, offset);
    while (!this.stopped && this.options.partitions.length > 0) {
      try {
        await this.readFromLeaders();
      } catch (error) {
        if (this.stopped) return;
        if (++this.failures > MAX_FAILURES) throw error;
        this.options.logger.debug({ topic: this.options.topic, failures: this.failures, err: error }, 'could not read; trying again');
        await pauseAfter(this.failures, this.stopping.signal, { firstMs: 60, maxMs: 500 });
      }
    }
  }

  stop(): void {
    this.stopping.abort();
  }

  throttle(partition: number, full: boolean): void {
    if (full) this.paused.add(partition);
    else this.paused.delete(partition);
  }

  private get stopped(): boolean {
    return this.stopping.signal.aborted;
  }

  private async readFromLeaders(): Promise<void> {
    const { topic, partitions } = this.options;
    const leaders = (await this.cluster.leaders([topic])).get(topic) ?? [];
    const byLeader = Map.groupBy(partitions, (partition) => leaders[partition]);
    const end = new AbortController();
    const loops = [...byLeader].map(([leader, led]) => this.loop(leader, led, AbortSignal.any([end.signal, this.stopping.signal])));
    try {
      await Promise.race(loops);
    } finally {
      end.abort();
      await Promise.allSettled(loops);
    }
  }

  private async loop(leader: Broker | undefined, partitions: readonly number[], signal: AbortSignal): Promise<void> {
    if (leader === undefined) throw new Error(`${this.options.topic} has no leader for partition ${partitions.join(', ')}`);
    const connection = await this.cluster.connect(leader, this.options.fetchWaitMs + this.options.requestTimeoutMs);
    const close = (): void => void connection.close();
    signal.addEventListener('abort', close, { once: true });
    try {
      await this.rewind(connection, partitions.filter((partition) => !this.positions.has(partition)));
      while (!signal.aborted) await this.readOnce(connection, partitions, signal);
    } finally {
      signal.removeEventListener('abort', close);
      close();
    }
  }

  private async readOnce(connection: Connection, partitions: readonly number[], signal: AbortSignal): Promise<void> {
    const wanted = partitions.filter((partition) => !this.paused.has(partition));
    if (wanted.length === 0) return await pause(PAUSED_WAIT_MS, signal);
    const answer = await this.fetch(connection, wanted, wanted.length < partitions.length ? PAUSED_WAIT_MS : this.options.fetchWaitMs);
    if (signal.aborted) return;
    this.failures = 0;
    for (const { partitions: answered } of answer.responses) for (const each of answered) this.accept(each);
    const lost = answer.responses.flatMap((response) => response.partitions).filter(({ errorCode }) => errorCode !== 0).map(({ partitionIndex }) => partitionIndex);
    if (lost.length > 0) await this.rewind(connection, lost);
  }

  /** Resolves also where offsets are out of range, which the answer then tells; any other refusal is thrown. */
  private async fetch(connection: Connection, partitions: readonly number[], waitMs: number): Promise<Fetched> {
    const asked = partitions.map((partition) => ({ partition, currentLeaderEpoch: ANY_EPOCH, fetchOffset: BigInt(this.positions.get(partition)!), lastFetchedEpoch: ANY_EPOCH, partitionMaxBytes: MAX_PARTITION_BYTES }));
    try {
      return await fetchV12.api.async(connection, waitMs, 1, MAX_BYTES, READ_COMMITTED, 0, -1, [{ topicId: this.options.topic, partitions: asked }], [], '');
    } catch (error) {
      if (error instanceof ResponseError && (error.errors as readonly Error[]).every((each) => isOutOfRange(each))) return (error as { response?: unknown }).response as Fetched;
      throw error;
    }
  }

  private accept(partition: FetchedPartition): void {
    const { partitionIndex } = partition;
    const position = this.positions.get(partitionIndex)!;
    const { records, next } = readable(partition, position);
    this.positions.set(partitionIndex, next);
    if (records.length > 0) this.take(partitionIndex, records);
  }

  /** To the beginning: nothing is saved yet, or what is saved has been removed. */
  private async rewind(connection: Connection, partitions: readonly number[]): Promise<void> {
    if (partitions.length === 0) return;
    const asked = partitions.map((partition) => ({ partitionIndex: partition, currentLeaderEpoch: ANY_EPOCH, timestamp: EARLIEST }));
    const { topics } = await listOffsetsV7.api.async(connection, ANY_EPOCH, READ_COMMITTED, [{ name: this.options.topic, partitions: asked }]);
    for (const { partitions: answered } of topics) for (const { partitionIndex, offset } of answered) this.positions.set(partitionIndex, Number(offset));
  }
}

function isOutOfRange(error: Error): boolean {
  return isRefusal(error, 'OFFSET_OUT_OF_RANGE') || (error as { apiId?: unknown }).apiId === 'OFFSET_OUT_OF_RANGE';
}
