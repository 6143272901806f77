import { Bell } from './bell.js';
import { after } from './countdown.js';
import type { SiteKey } from './keys.js';
import type { WorkInput } from './run.js';

/** Inputs of one delivery, or that became due together. */
export interface WorkItem {
  readonly partition: number;
  readonly inputs: readonly (WorkInput & { readonly key: SiteKey })[];
  /** Everything that follows is durable and sent. */
  done(): void;
}

export interface LaneOptions {
  readonly maxBatch: number;
  readonly maxQueued: number;
}

export interface LaneWork {
  /** Resolves when the next transaction may start. */
  ready(): Promise<void>;
  /** A rejection is a defect of this program: whatever the database and the transport do is dealt with inside. */
  process(items: readonly WorkItem[]): Promise<void>;
  /** Told of every defect, with the number of the attempt from 0; resolves when it may be tried again, to false if the items are to be given up. */
  failed(error: unknown, attempt: number, items: readonly WorkItem[]): Promise<boolean>;
}

/** One database transaction at a time; what arrives meanwhile gathers for the next one. */
export class Lane {
  private queue: WorkItem[] = [];
  private queuedInputs = 0;
  private running: Promise<void> | null = null;
  private closed = false;
  private readonly roomier = new Bell();

  constructor(private readonly options: LaneOptions, private readonly work: LaneWork) {}

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
      await this.work.ready();
      const items = this.take();
      if (items.length > 0) await this.process(items);
    }
    this.running = null;
  }

  /** Steps are repeatable, so after a defect all is run again, one by one: others must not suffer for the transaction that brings it out. */
  private async process(items: readonly WorkItem[]): Promise<void> {
    for (let attempt = 0; ; attempt++) {
      try {
        return await this.work.process(items);
      } catch (error) {
        const again = await this.work.failed(error, attempt, items);
        if (!again || this.closed) return;
        const parts = items.length > 1 ? items : byTransaction(items[0]!);
        if (parts.length <= 1) continue;
        for (const part of parts) await this.process([part]);
        return;
      }
    }
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

function byTransaction({ partition, inputs, done }: WorkItem): readonly WorkItem[] {
  const parts = new Map<string, WorkItem['inputs'][number][]>();
  for (const input of inputs) parts.set(input.key.txid, [...(parts.get(input.key.txid) ?? []), input]);
  const partDone = after(Math.max(parts.size, 1), done);
  return [...parts.values()].map((some) => ({ partition, inputs: some, done: partDone }));
}
