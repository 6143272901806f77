import type { BranchRow } from '#libs/protocol';
import type { BranchKey, BranchStore, BranchTransaction } from '#libs/runtime';
import type { DriverDefect } from './defects.js';
import type { SimProcess } from './process.js';
import type { Scheduler } from './scheduler.js';
import { SimulatedFault, type Wire } from './wire.js';
import type { Witness } from './witness.js';

/** What handlers change: pieces of one article, and who holds or has got one. By branch id. */
export interface Shelf {
  available: number;
  readonly held: Map<string, number>;
  readonly applied: Map<string, number>;
}

/** What the handlers of one local transaction get. */
export interface ShelfHandle {
  /** The shelf as it is to be: locked from the first call to the end of the transaction. */
  open(): Promise<Shelf>;
  /** What a handler wrote breaks the transaction at its flush. */
  poison(): void;
}

/** No row has this id. */
const SHELF_LOCK = 'shelf';
/** How long the database takes at most to notice that the other end of a connection is gone. */
const CONNECTION_LOST_MS = 2_000;
const EARLY_MS = 20;

export function branchId({ txid, branch }: BranchKey): string {
  return `${txid}/${branch}`;
}

/** A participant's database: its branch rows and its shelf, with row locks, behind any number of processes. */
export class BranchDatabase {
  readonly rows = new Map<string, BranchRow>();
  shelf: Shelf;
  private readonly locks = new Map<string, { holder: LocalTransaction; readonly waiting: { readonly by: LocalTransaction; readonly go: () => void }[] }>();

  constructor(
    readonly site: string, pieces: number, private readonly scheduler: Scheduler, private readonly witness: Witness, readonly defect: DriverDefect | null,
    private readonly onFlush: (process: SimProcess, rows: readonly BranchRow[]) => void,
  ) {
    this.shelf = { available: pieces, held: new Map(), applied: new Map() };
  }

  port(process: SimProcess, wire: Wire): BranchStore<ShelfHandle> {
    return {
      transact: (work) => new LocalTransaction(this, process, wire).run(work),
      loadPrepared: (after, limit) => wire.request(process, this.site, () => this.prepared(after, limit)),
      isTransient: (error) => error instanceof SimulatedFault,
    };
  }

  /** Resolves when nobody else has the row. */
  async lock(id: string, by: LocalTransaction): Promise<void> {
    if (this.defect === 'branch-not-locked') return;
    const lock = this.locks.get(id);
    if (lock === undefined) this.locks.set(id, { holder: by, waiting: [] });
    else if (lock.holder !== by) await new Promise<void>((go) => lock.waiting.push({ by, go }));
  }

  /** All that this one has or waits for. */
  unlock(by: LocalTransaction): void {
    for (const [id, lock] of this.locks) {
      const mine = lock.waiting.findIndex((waiter) => waiter.by === by);
      if (mine >= 0) lock.waiting.splice(mine, 1);
      if (lock.holder !== by) continue;
      const next = lock.waiting.shift();
      if (next === undefined) this.locks.delete(id);
      else {
        lock.holder = next.by;
        next.go();
      }
    }
  }

  /** The process at its other end has died: the server rolls back once it has noticed. */
  abandon(transaction: LocalTransaction, afterMs: number): void {
    this.scheduler.in(afterMs, () => {
      transaction.lost = true;
      this.unlock(transaction);
    });
  }

  /** What the primary key sorts by; order of appearance stands for the txid. */
  place({ txid, branch }: BranchKey): number {
    return this.witness.ordinal(txid) * 1_000 + branch;
  }

  write(process: SimProcess, rows: readonly BranchRow[], shelf: Shelf | null): void {
    for (const row of rows) {
      this.witness.row(this.site, this.rows.get(branchId(row)) ?? null, row);
      this.rows.set(branchId(row), row);
    }
    if (shelf !== null) this.shelf = shelf;
    if (rows.length > 0) this.onFlush(process, rows);
  }

  later(write: () => void, process: SimProcess): void {
    process.at(process.now() + EARLY_MS, write);
  }

  private prepared(after: BranchKey | null, limit: number): readonly BranchRow[] {
    const from = after === null ? -1 : this.place(after);
    const rows = [...this.rows.values()].filter((row) => row.state === 'prepared' && this.place(row) > from);
    return rows.sort((a, b) => this.place(a) - this.place(b)).slice(0, limit);
  }
}

/** One local database transaction, READ COMMITTED: rows and the shelf are read under their locks, all is written at the flush or nothing. */
class LocalTransaction implements BranchTransaction<ShelfHandle> {
  readonly handle: ShelfHandle = { open: () => this.openShelf(), poison: () => (this.poisoned = true) };
  private readonly known = new Set<string>();
  private readonly changed = new Map<string, BranchRow>();
  /** Its connection is gone. */
  lost = false;
  private shelf: Shelf | null = null;
  private poisoned = false;

  constructor(private readonly database: BranchDatabase, private readonly process: SimProcess, private readonly wire: Wire) {}

  async run<T>(work: (tx: this) => Promise<T>): Promise<T> {
    const { database, process, wire } = this;
    const forget = process.whenDead(() => database.abandon(this, wire.chance() * CONNECTION_LOST_MS));
    try {
      const result = await work(this);
      await this.flush();
      return result;
    } finally {
      forget();
      database.unlock(this);
    }
  }

  async load(keys: readonly BranchKey[]): Promise<readonly BranchRow[]> {
    const { database, process, wire } = this;
    await wire.request(process, database.site, () => undefined);
    // In one order, so that two of them cannot wait for each other.
    const found = keys.filter((key) => database.rows.has(branchId(key)));
    const ids = found.sort((a, b) => database.place(a) - database.place(b)).map(branchId);
    for (const id of ids) await process.hears(database.lock(id, this));
    return ids.map((id) => {
      this.known.add(id);
      return database.rows.get(id)!;
    });
  }

  async save(rows: readonly BranchRow[]): Promise<void> {
    for (const row of rows) this.changed.set(branchId(row), row);
  }

  async savepoint<T>(work: () => Promise<T>): Promise<T> {
    const before = this.shelf === null ? null : copyOf(this.shelf);
    try {
      return await work();
    } catch (error) {
      this.shelf = before;
      throw error;
    }
  }

  private async openShelf(): Promise<Shelf> {
    if (this.shelf === null) {
      await this.process.hears(this.database.lock(SHELF_LOCK, this));
      this.shelf = copyOf(this.database.shelf);
    }
    return this.shelf;
  }

  private flush(): Promise<void> {
    const { database, process, wire } = this;
    const write = (): void => database.write(process, [...this.changed.values()], this.shelf);
    if (database.defect === 'row-told-early' && !this.poisoned) {
      database.later(write, process);
      return Promise.resolve();
    }
    return wire.request(process, database.site, () => {
      if (this.lost) throw new SimulatedFault('the connection was gone');
      if (this.poisoned) throw new Error('a handler wrote what no column takes');
      const isTaken = [...this.changed.keys()].some((id) => !this.known.has(id) && database.rows.has(id));
      if (isTaken && database.defect !== 'branch-not-locked') throw new SimulatedFault('a branch row was inserted by another process meanwhile');
      write();
    });
  }
}

function copyOf({ available, held, applied }: Shelf): Shelf {
  return { available, held: new Map(held), applied: new Map(applied) };
}
