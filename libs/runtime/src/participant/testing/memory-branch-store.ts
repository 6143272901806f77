import type { BranchRow } from '#libs/protocol';
import type { BranchKey, BranchStore, BranchTransaction } from '../../ports.js';
import { idOf } from '../keys.js';

/** What handlers change: named numbers. */
export interface Ledger {
  get(name: string): number;
  add(name: string, amount: number): void;
}

/** A fault that goes away by itself. */
export class TransientFault extends Error {}

/** Before anything is read, before the rows are written, at the flush with nothing kept, at the flush with everything kept. */
export type FaultPoint = 'load' | 'save' | 'flush' | 'flushed' | 'load-prepared';

interface Content {
  rows: Map<string, BranchRow>;
  numbers: Map<string, number>;
}

/** A database in memory: transactions one after the other, each with all of its effects or none, faults on demand. */
export class MemoryBranchStore implements BranchStore<Ledger> {
  transactions = 0;
  /** The last transactions that were flushed: how many keys each loaded and how many rows each wrote. */
  readonly flushes: { keys: number; rows: number }[] = [];
  private durable: Content = { rows: new Map(), numbers: new Map() };
  private queue: Promise<unknown> = Promise.resolve();
  private readonly faults: { point: FaultPoint; error: unknown }[] = [];

  /** The next time this point is reached, `error` is thrown; may be called several times for several faults. */
  failAt(point: FaultPoint, error: unknown = new TransientFault(`fault at ${point}`)): void {
    this.faults.push({ point, error });
  }

  /** Durable rows. */
  row(key: BranchKey): BranchRow | null {
    return this.durable.rows.get(idOf(key)) ?? null;
  }

  put(row: BranchRow): void {
    this.durable.rows.set(idOf(row), row);
  }

  number(name: string): number {
    return this.durable.numbers.get(name) ?? 0;
  }

  isTransient(error: unknown): boolean {
    return error instanceof TransientFault;
  }

  transact<T>(work: (tx: BranchTransaction<Ledger>) => Promise<T>): Promise<T> {
    const run = this.queue.then(() => this.runAlone(work));
    this.queue = run.catch(() => {});
    return run;
  }

  async loadPrepared(after: BranchKey | null, limit: number): Promise<readonly BranchRow[]> {
    this.trip('load-prepared');
    const ids = [...this.durable.rows.keys()].sort().filter((id) => after === null || id > idOf(after));
    return ids.map((id) => this.durable.rows.get(id)!).filter(({ state }) => state === 'prepared').slice(0, limit);
  }

  private async runAlone<T>(work: (tx: BranchTransaction<Ledger>) => Promise<T>): Promise<T> {
    this.transactions++;
    const tx = new MemoryTransaction(copyOf(this.durable), (point) => this.trip(point));
    const result = await work(tx);
    this.trip('flush');
    this.durable = tx.content;
    this.flushes.push({ keys: tx.loaded, rows: tx.saved });
    this.trip('flushed');
    return result;
  }

  private trip(point: FaultPoint): void {
    const index = this.faults.findIndex((fault) => fault.point === point);
    if (index >= 0) throw this.faults.splice(index, 1)[0]!.error;
  }
}

class MemoryTransaction implements BranchTransaction<Ledger> {
  loaded = 0;
  saved = 0;
  readonly handle: Ledger = {
    get: (name) => this.content.numbers.get(name) ?? 0,
    add: (name, amount) => void this.content.numbers.set(name, this.handle.get(name) + amount),
  };

  constructor(public content: Content, private readonly trip: (point: FaultPoint) => void) {}

  async load(keys: readonly BranchKey[]): Promise<readonly BranchRow[]> {
    this.trip('load');
    this.loaded += keys.length;
    return keys.flatMap((key) => this.content.rows.get(idOf(key)) ?? []);
  }

  async save(rows: readonly BranchRow[]): Promise<void> {
    this.trip('save');
    for (const row of rows) {
      if (JSON.stringify(row.payload).includes('\\u0000')) throw new Error('no column takes a zero character');
      this.content.rows.set(idOf(row), row);
    }
    this.saved += rows.length;
  }

  async savepoint<T>(work: () => Promise<T>): Promise<T> {
    const before = copyOf(this.content);
    try {
      return await work();
    } catch (error) {
      this.content = before;
      throw error;
    }
  }
}

function copyOf({ rows, numbers }: Content): Content {
  return { rows: new Map(rows), numbers: new Map(numbers) };
}
