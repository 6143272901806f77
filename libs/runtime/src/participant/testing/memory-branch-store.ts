import type { AcceptorRow, Txid } from '#libs/protocol';
import { BRANCH_RACE, type AnyBranchRow, type BranchKey, type BranchStore, type BranchTransaction, type ExpectedBranches, type LeaderRow, type SiteKeys, type SiteRows } from '../../ports.js';
import { branchId } from '../keys.js';
import { isUndecided, versionOf } from '../roles/rows.js';

/** What handlers change: named numbers. */
export interface Ledger {
  get(name: string): number;
  add(name: string, amount: number): void;
}

/** A fault that goes away by itself. */
export class TransientFault extends Error {}

/** A row is not as it was expected to be. */
class Race extends TransientFault {
  readonly code = BRANCH_RACE;
}

/** Before anything is read, before the rows are written, at the flush with nothing kept, at the flush with everything kept. */
export type FaultPoint = 'load' | 'save' | 'flush' | 'flushed' | 'load-undecided';

interface Content {
  readonly branches: Map<string, AnyBranchRow>;
  readonly acceptors: Map<Txid, AcceptorRow>;
  readonly leaders: Map<Txid, LeaderRow>;
  readonly numbers: Map<string, number>;
}

/** A database in memory: transactions one after the other, each with all of its effects or none, faults on demand. */
export class MemoryBranchStore implements BranchStore<Ledger> {
  transactions = 0;
  /** Rows of branches that were looked for, because nobody knew what they are. */
  lookUps = 0;
  /** The last transactions that were flushed: how many keys each loaded and how many rows each wrote. */
  readonly flushes: { keys: number; rows: number }[] = [];
  private durable: Content = { branches: new Map(), acceptors: new Map(), leaders: new Map(), numbers: new Map() };
  private queue: Promise<unknown> = Promise.resolve();
  private readonly faults: { point: FaultPoint; error: unknown }[] = [];

  /** The next time this point is reached, `error` is thrown; may be called several times for several faults. */
  failAt(point: FaultPoint, error: unknown = new TransientFault(`fault at ${point}`)): void {
    this.faults.push({ point, error });
  }

  /** Durable rows. */
  row(key: BranchKey): AnyBranchRow | null {
    return this.durable.branches.get(branchId(key)) ?? null;
  }

  acceptorRow(txid: Txid): AcceptorRow | null {
    return this.durable.acceptors.get(txid) ?? null;
  }

  leaderRow(txid: Txid): LeaderRow | null {
    return this.durable.leaders.get(txid) ?? null;
  }

  put(row: AnyBranchRow): void {
    this.durable.branches.set(branchId(row), row);
  }

  putLeader(row: LeaderRow): void {
    this.durable.leaders.set(row.group.txid, row);
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

  async loadUndecided(after: BranchKey | null, limit: number): Promise<readonly AnyBranchRow[]> {
    this.trip('load-undecided');
    const ids = [...this.durable.branches.keys()].sort().filter((id) => after === null || id > branchId(after));
    return ids.map((id) => this.durable.branches.get(id)!).filter(isUndecided).slice(0, limit);
  }

  private async runAlone<T>(work: (tx: BranchTransaction<Ledger>) => Promise<T>): Promise<T> {
    this.transactions++;
    const tx = new MemoryTransaction(copyOf(this.durable), (point) => this.trip(point));
    const result = await work(tx).finally(() => { this.lookUps += tx.lookUps; });
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
  lookUps = 0;
  saved = 0;
  /** What was taken on trust; null: no row. */
  private readonly trusted = new Map<string, AnyBranchRow | null>();
  readonly handle: Ledger = {
    get: (name) => this.content.numbers.get(name) ?? 0,
    add: (name, amount) => void this.content.numbers.set(name, this.handle.get(name) + amount),
  };

  constructor(public content: Content, private readonly trip: (point: FaultPoint) => void) {}

  async load({ branches, acceptors, leaders }: SiteKeys, { present, absent }: ExpectedBranches = { present: [], absent: [] }): Promise<SiteRows> {
    this.trip('load');
    this.loaded += branches.length + acceptors.length + leaders.length;
    for (const row of present) this.trusted.set(branchId(row), row);
    for (const key of absent) this.trusted.set(branchId(key), null);
    const expected = new Set([...present, ...absent].map(branchId));
    const unknown = branches.filter((key) => !expected.has(branchId(key)));
    this.lookUps += unknown.length;
    return {
      branches: [...present, ...unknown.flatMap((key) => this.content.branches.get(branchId(key)) ?? [])],
      acceptors: acceptors.flatMap((txid) => this.content.acceptors.get(txid) ?? []),
      leaders: leaders.flatMap((txid) => this.content.leaders.get(txid) ?? []),
    };
  }

  async save({ branches, acceptors, leaders }: SiteRows): Promise<void> {
    this.trip('save');
    for (const row of branches) {
      const trusted = this.trusted.get(branchId(row));
      if (trusted !== undefined && !isAsExpected(this.content.branches.get(branchId(row)) ?? null, trusted, row)) throw new Race(branchId(row));
      if (JSON.stringify(row.payload).includes('\\u0000')) throw new Error('no column takes a zero character');
      this.content.branches.set(branchId(row), row);
    }
    for (const row of acceptors) this.content.acceptors.set(row.txid, row);
    for (const row of leaders) this.content.leaders.set(row.group.txid, row);
    this.saved += branches.length + acceptors.length + leaders.length;
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

function copyOf({ branches, acceptors, leaders, numbers }: Content): Content {
  return { branches: new Map(branches), acceptors: new Map(acceptors), leaders: new Map(leaders), numbers: new Map(numbers) };
}

/** As the statements of Postgres have it: a decision stands whatever was promised to whom. */
function isAsExpected(found: AnyBranchRow | null, trusted: AnyBranchRow | null, row: AnyBranchRow): boolean {
  if (found === null || trusted === null) return found === trusted;
  return isUndecided(row) ? versionOf(found) === versionOf(trusted) : found.state === trusted.state;
}
