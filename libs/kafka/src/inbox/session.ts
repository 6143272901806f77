import type { Subscriber } from '#libs/runtime';
import { pauseAfter } from '../backoff.js';
import type { InboxRecord } from './dead-letter.js';
import { Lane, type LaneContext } from './lane.js';

export type SessionContext = Omit<LaneContext, 'deliver'>;

/** How far a partition is done, to be saved with the group. */
export interface Position {
  readonly partition: number;
  readonly offset: number;
  /** To be called when the offset is saved. */
  saved(): void;
}

/**
 * One subscriber's share of one inbox through all rebalances. Every assignment starts a new generation with fresh lanes,
 * because reading starts again behind what is done; what an old generation still does no longer moves offsets.
 */
export class InboxSession {
  private lanes: ReadonlyMap<number, Lane> = new Map();
  /** Partitions that the subscriber was told about and has owned without interruption since. */
  private held: ReadonlySet<number> = new Set();
  /** Per partition, the end of the last delivery of a closed lane: the next lane waits for it, so that order is kept. */
  private readonly settling = new Map<number, Promise<void>>();
  private generation = new AbortController();
  private feed: Promise<void> = Promise.resolve();
  private isClosed = false;

  constructor(private readonly subscriber: Subscriber, private readonly context: SessionContext) {}

  get partitions(): readonly number[] {
    return [...this.lanes.keys()];
  }

  /** A new generation: exactly these partitions, read from `positionOf` or else from their saved offsets. */
  assign(partitions: readonly number[]): void {
    if (this.isClosed) return;
    const positions = new Map(partitions.map((partition) => [partition, this.positionOf(partition)]));
    this.retire();
    this.generation = new AbortController();
    const { signal } = this.generation;
    this.lanes = new Map(partitions.map((partition) => [partition, this.newLane(partition, positions.get(partition)!)]));
    this.held = new Set(partitions.filter((partition) => this.held.has(partition)));
    for (const partition of this.held) this.openLane(partition, signal);
    this.feed = this.feed.then(() => this.tell(partitions, signal));
  }

  push(partition: number, records: readonly InboxRecord[]): void {
    this.lanes.get(partition)?.push(records);
  }

  /** Where reading of a partition has to go on, as far as this member knows from the generation before; null when it does not. */
  positionOf(partition: number): number | null {
    return this.lanes.get(partition)?.position ?? null;
  }

  unsaved(): readonly Position[] {
    const positions: Position[] = [];
    for (const [partition, lane] of this.lanes) {
      const offset = lane.unsaved();
      if (offset !== null) positions.push({ partition, offset, saved: () => lane.saved(offset) });
    }
    return positions;
  }

  /** Stops deliveries at once. Offsets of what is done are to be taken before. */
  close(): void {
    this.isClosed = true;
    this.retire();
    this.lanes = new Map();
  }

  private newLane(partition: number, from: number | null): Lane {
    return new Lane(partition, { ...this.context, deliver: (batch) => this.subscriber.deliver(batch) }, from);
  }

  private retire(): void {
    this.generation.abort();
    for (const [partition, lane] of this.lanes) {
      const settled = Promise.all([this.settling.get(partition), lane.close()]).then(() => {
        if (this.settling.get(partition) === settled) this.settling.delete(partition);
      });
      this.settling.set(partition, settled);
    }
  }

  private openLane(partition: number, signal: AbortSignal): void {
    const lane = this.lanes.get(partition)!;
    const before = this.settling.get(partition);
    if (before === undefined) lane.open();
    else void before.then(() => signal.aborted || lane.open());
  }

  /** One assignment at a time, each told in turn; a refused one is repeated until it is out of date. */
  private async tell(partitions: readonly number[], signal: AbortSignal): Promise<void> {
    for (let attempt = 1; !this.isClosed; attempt++) {
      try {
        await this.subscriber.assigned(partitions);
        break;
      } catch (error) {
        this.context.logger.warn({ topic: this.context.topic, partitions, attempt, err: error }, 'the subscriber could not take its partitions');
        if (signal.aborted) return;
        await pauseAfter(attempt, signal);
        if (signal.aborted) return;
      }
    }
    if (signal.aborted) return;
    const gained = partitions.filter((partition) => !this.held.has(partition));
    this.held = new Set(partitions);
    for (const partition of gained) this.openLane(partition, signal);
  }
}
