import type { ParticipantInput } from '#libs/protocol';
import type { BranchKey } from '../ports.js';
import { Bell } from './bell.js';
import type { BranchInput } from './branch-run.js';

/** Inputs of one delivery, or that became due together. */
export interface WorkItem {
  readonly partition: number;
  readonly inputs: readonly (BranchInput & { readonly key: BranchKey; readonly input: ParticipantInput })[];
  /** Everything that follows is durable and sent. */
  done(): void;
}

export interface LaneOptions {
  readonly maxBatch: number;
  readonly maxQueued: number;
}

/** One database transaction at a time; what arrives meanwhile gathers for the next one. */
export class Lane {
  private queue: WorkItem[] = [];
  private queuedInputs = 0;
  private running: Promise<void> | null = null;
  private closed = false;
  private readonly roomier = new Bell();

  /** @param ready resolves when the next transaction may start */
  constructor(private readonly options: LaneOptions, private readonly ready: () => Promise<void>, private readonly process: (items: readonly WorkItem[]) => Promise<void>) {}

  /** Inputs that wait. */
  get queued(): number {
    return this.queuedInputs;
  }

  /** A transaction runs or is about to. */
  get busy(): boolean {
    return this.running !== null;
  }

  /** Resolves at once, or when there is room for more. After close() the item is dropped. */
  async push(item: WorkItem): Promise<void> {
    if (this.closed) return;
    this.queue.push(item);
    this.queuedInputs += item.inputs.length;
    this.running ??= this.run();
    while (this.queuedInputs >= this.options.maxQueued) await this.roomier.wait();
  }

  /** Drops what waits of partitions that are not kept; they are delivered again, to their new owner. */
  keep(isKept: (partition: number) => boolean): void {
    this.queue = this.queue.filter(({ partition }) => isKept(partition));
    this.recount();
  }

  /** Drops what waits and resolves when the transaction in flight is over. */
  async close(): Promise<void> {
    this.closed = true;
    this.keep(() => false);
    await this.running;
  }

  private async run(): Promise<void> {
    // What arrives in the same turn of the event loop, from several partitions, travels together.
    await new Promise((resolve) => setImmediate(resolve));
    while (this.queue.length > 0) {
      await this.ready();
      const items = this.take();
      if (items.length > 0) await this.process(items);
    }
    this.running = null;
  }

  private take(): readonly WorkItem[] {
    let count = 0;
    let inputs = 0;
    while (count < this.queue.length && (count === 0 || inputs + this.queue[count]!.inputs.length <= this.options.maxBatch)) {
      inputs += this.queue[count++]!.inputs.length;
    }
    const items = this.queue.splice(0, count);
    this.recount();
    return items;
  }

  private recount(): void {
    this.queuedInputs = this.queue.reduce((sum, { inputs }) => sum + inputs.length, 0);
    this.roomier.ring();
  }
}
