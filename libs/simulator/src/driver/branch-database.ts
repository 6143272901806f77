import { type AcceptorRow, BALLOT_ZERO, compareBallots, type Txid } from '#libs/protocol';
import { type AnyBranchRow, BRANCH_RACE, type BranchKey, type BranchStore, type BranchTransaction, type ExpectedBranches, type LeaderRow, type SiteKeys, type SiteRows } from '#libs/runtime';
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

class Race extends SimulatedFault {
  readonly code = BRANCH_RACE;
}

/** No row has this id. */
const SHELF_LOCK = 'shelf';
/** How long the database takes at most to notice that the other end of a connection is gone. */
const CONNECTION_LOST_MS = 2_000;
const EARLY_MS = 20;
/** As `deadlock_timeout` of Postgres. */
const DEADLOCK_MS = 1_000;

export function branchId({ txid, branch }: BranchKey): string {
  return `${txid}/${branch}`;
}

/** States in which a branch has voted yes and does not know the decision. */
const UNDECIDED: ReadonlySet<string> = new Set(['prepared', 'pre-committed', 'pre-aborted']);

export function isUndecided({ state }: Pick<AnyBranchRow, 'state'>): boolean {
  return UNDECIDED.has(state);
}

type RowOf = { readonly branches: AnyBranchRow; readonly acceptors: AcceptorRow; readonly leaders: LeaderRow };
type Table = keyof RowOf;
const TABLES = ['branches', 'acceptors', 'leaders'] as const satisfies readonly Table[];

const ID_OF: { readonly [T in Table]: (row: RowOf[T]) => string } = {
  branches: branchId, acceptors: (row) => row.txid, leaders: (row) => row.group.txid,
};

/** A participant's database: its branch, acceptor and leader rows and its shelf, with row locks, behind any number of processes. */
export class BranchDatabase {
  readonly rows = new Map<string, AnyBranchRow>();
  readonly acceptors = new Map<Txid, AcceptorRow>();
  readonly leaders = new Map<Txid, LeaderRow>();
  shelf: Shelf;
  private readonly locks = new Map<string, { holder: LocalTransaction; readonly waiting: { readonly by: LocalTransaction; readonly go: () => void }[] }>();

  constructor(
    readonly site: string, pieces: number, private readonly scheduler: Scheduler, private readonly witness: Witness, readonly defect: DriverDefect | null,
    private readonly onFlush: (process: SimProcess, rows: SiteRows) => void,
  ) {
    this.shelf = { available: pieces, held: new Map(), applied: new Map() };
  }

  port(process: SimProcess, wire: Wire): BranchStore<ShelfHandle> {
    return {
      transact: (work) => new LocalTransaction(this, process, wire).run(work),
      loadUndecided: (after, limit) => wire.request(process, this.site, () => this.undecided(after, limit)),
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
    return this.order(txid) * 1_000 + branch;
  }

  order(txid: Txid): number {
    return this.witness.ordinal(txid);
  }

  has(table: Table, id: string): boolean {
    return (table === 'branches' ? this.rows : this[table]).has(id as Txid);
  }

  write(process: SimProcess, rows: SiteRows, shelf: Shelf | null): void {
    for (const row of rows.branches) {
      this.witness.row(this.site, this.rows.get(branchId(row)) ?? null, row);
      this.rows.set(branchId(row), this.defect === 'promises-lost' && row.protocol === '3pc' ? { ...row, lastElected: row.lastAttempt } : row);
    }
    for (const row of rows.acceptors) {
      if (this.defect !== 'promises-lost') this.witness.acceptor(this.site, this.acceptors.get(row.txid) ?? null, row);
      this.acceptors.set(row.txid, this.defect === 'promises-lost' ? { ...row, promised: BALLOT_ZERO } : row);
    }
    for (const row of rows.leaders) this.leaders.set(row.group.txid, row);
    if (shelf !== null) this.shelf = shelf;
    if (rows.branches.length + rows.acceptors.length + rows.leaders.length > 0) this.onFlush(process, rows);
  }

  later(write: () => void, process: SimProcess): void {
    process.at(process.now() + EARLY_MS, write);
  }

  private undecided(after: BranchKey | null, limit: number): readonly AnyBranchRow[] {
    const from = after === null ? -1 : this.place(after);
    const rows = [...this.rows.values()].filter((row) => isUndecided(row) && this.place(row) > from);
    return rows.sort((a, b) => this.place(a) - this.place(b)).slice(0, limit);
  }
}

/** One local database transaction, READ COMMITTED: rows and the shelf are read under their locks, all is written at the flush or nothing. */
class LocalTransaction implements BranchTransaction<ShelfHandle> {
  readonly handle: ShelfHandle = { open: () => this.openShelf(), poison: () => (this.poisoned = true) };
  /** Lock names of the rows that it has loaded. */
  private readonly known = new Set<string>();
  /** What was taken on trust, by branch id; null: no row. */
  private readonly trusted = new Map<string, AnyBranchRow | null>();
  private readonly changed: { readonly [T in Table]: Map<string, RowOf[T]> } = { branches: new Map(), acceptors: new Map(), leaders: new Map() };
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

  /** Branches, then acceptors, then leaders, each in one order, so that two of them cannot wait for each other. */
  async load(keys: SiteKeys, { present, absent }: ExpectedBranches = { present: [], absent: [] }): Promise<SiteRows> {
    const { database, process, wire } = this;
    for (const row of present) this.trusted.set(branchId(row), row);
    for (const key of absent) this.trusted.set(branchId(key), null);
    const expected = new Set([...present, ...absent].map(branchId));
    const unknown = keys.branches.filter((key) => !expected.has(branchId(key)));
    // Nothing to ask the database for.
    if (unknown.length + keys.acceptors.length + keys.leaders.length === 0) return { branches: present, acceptors: [], leaders: [] };
    await wire.request(process, database.site, () => undefined);
    const branches = unknown.filter((key) => database.rows.has(branchId(key))).sort((a, b) => database.place(a) - database.place(b)).map(branchId);
    await this.lockAll('branches', branches);
    const inOrder = (txids: readonly Txid[]): readonly Txid[] => [...new Set(txids)].sort((a, b) => database.order(a) - database.order(b));
    const acceptors = inOrder(keys.acceptors).filter((txid) => database.acceptors.has(txid));
    await this.lockAll('acceptors', acceptors);
    const leaders = inOrder(keys.leaders).filter((txid) => database.leaders.has(txid));
    await this.lockAll('leaders', leaders);
    return {
      branches: [...present, ...branches.map((id) => database.rows.get(id)!)], acceptors: acceptors.map((id) => database.acceptors.get(id)!),
      leaders: leaders.map((id) => database.leaders.get(id)!),
    };
  }

  async save(rows: SiteRows): Promise<void> {
    for (const row of rows.branches) this.changed.branches.set(ID_OF.branches(row), row);
    for (const row of rows.acceptors) this.changed.acceptors.set(ID_OF.acceptors(row), row);
    for (const row of rows.leaders) this.changed.leaders.set(ID_OF.leaders(row), row);
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

  private async lockAll(table: Table, ids: readonly string[]): Promise<void> {
    for (const id of ids) {
      const name = `${table} ${id}`;
      await this.lockUnlessDeadlocked(name);
      this.known.add(name);
    }
  }

  private async openShelf(): Promise<Shelf> {
    if (this.shelf === null) {
      await this.process.hears(this.database.lock(SHELF_LOCK, this));
      this.shelf = copyOf(this.database.shelf);
    }
    return this.shelf;
  }

  private async flush(): Promise<void> {
    const { database, process, wire } = this;
    const rows = { branches: [...this.changed.branches.values()], acceptors: [...this.changed.acceptors.values()], leaders: [...this.changed.leaders.values()] };
    const write = (): void => database.write(process, rows, this.shelf);
    if (database.defect === 'row-told-early' && !this.poisoned) {
      database.later(write, process);
      return;
    }
    await this.lockTrusted();
    return wire.request(process, database.site, () => {
      if (this.lost) throw new SimulatedFault('the connection was gone');
      if (this.poisoned) throw new Error('a handler wrote what no column takes');
      if (database.defect !== 'branch-not-locked') this.refuseRaces(rows.leaders);
      write();
    });
  }

  /** An update waits for whoever has the row; who has it may be waiting for the shelf, which is ours. */
  private async lockTrusted(): Promise<void> {
    for (const id of this.changed.branches.keys()) {
      if ((this.trusted.get(id) ?? null) === null) continue;
      await this.lockUnlessDeadlocked(`branches ${id}`);
    }
  }

  private async lockUnlessDeadlocked(name: string): Promise<void> {
    const { database, process } = this;
    const deadlock = new Promise<never>((_, reject) => process.at(process.now() + DEADLOCK_MS, () => reject(new SimulatedFault('deadlock detected'))));
    await process.hears(Promise.race([database.lock(name, this), deadlock]));
  }

  private refuseRaces(leaders: readonly LeaderRow[]): void {
    const { database } = this;
    for (const table of TABLES) {
      for (const id of this.changed[table].keys()) {
        if (table === 'branches' && this.trusted.has(id)) this.refuseWrongGuess(id);
        else if (!this.known.has(`${table} ${id}`) && database.has(table, id)) throw new Race('a row was inserted by another process meanwhile');
      }
    }
    for (const { group: { txid }, ballot } of leaders) {
      const stored = database.leaders.get(txid);
      if (stored !== undefined && compareBallots(stored.ballot, ballot) >= 0) throw new SimulatedFault('a leader row is stored over a smaller ballot only');
    }
  }

  private refuseWrongGuess(id: string): void {
    const { database } = this;
    if (database.defect === 'guess-not-verified') return;
    if (!isAsExpected(database.rows.get(id) ?? null, this.trusted.get(id)!, this.changed.branches.get(id)!)) throw new Race('a row is in another state than was expected');
  }
}

/** A decision stands whatever was promised to whom. */
function isAsExpected(found: AnyBranchRow | null, trusted: AnyBranchRow | null, written: AnyBranchRow): boolean {
  if (found === null || trusted === null) return found === trusted;
  return found.state === trusted.state && (!isUndecided(written) || electionsOf(found) === electionsOf(trusted));
}

function electionsOf(row: AnyBranchRow): string {
  return row.protocol === '3pc' ? [row.lastElected.n, row.lastElected.site, row.lastAttempt.n, row.lastAttempt.site].join() : '';
}

function copyOf({ available, held, applied }: Shelf): Shelf {
  return { available, held: new Map(held), applied: new Map(applied) };
}
