import type { BranchRow, BranchState, Json, Peers, Reason, Txid } from '#libs/protocol';
import type { BranchKey, BranchStore, BranchTransaction } from '#libs/runtime';
import type { DataSource, EntityManager, QueryRunner } from 'typeorm';
import { BranchRaceError, isTransientDatabaseError } from './errors.js';
import { BEGIN, INDEXES_ONLY } from './pipeline.js';
import { insertBranches, loadBranches, type Statement, updateBranches } from './sql/branches.js';

/**
 * A participant's branch rows beside its own tables, through the service's own TypeORM connection. Its connections pipeline: what needs
 * no answer travels with what follows it, which halves the round trips.
 */
export class TypeOrmBranchStore implements BranchStore<EntityManager> {
  constructor(private readonly dataSource: DataSource) {
    const { extra } = dataSource.options as { readonly extra?: { readonly pipeline?: boolean } };
    if (extra?.pipeline !== true) throw new TypeError('the data source must be made with extra: { pipeline: true }');
  }

  async transact<T>(work: (tx: BranchTransaction<EntityManager>) => Promise<T>): Promise<T> {
    const runner = this.dataSource.createQueryRunner();
    try {
      return await new TypeOrmBranchTransaction(runner, (await runner.connect()) as Connection).run(work);
    } finally {
      await runner.release();
    }
  }

  async loadPrepared(after: BranchKey | null, limit: number): Promise<readonly BranchRow[]> {
    const rows: StoredRow[] = await this.dataSource.query(`
      SELECT txid, branch, state, one_phase, operation, NULL AS payload, peers, reason, result, updated_at FROM concordat_branch
       WHERE state = 'prepared' AND (txid, branch) > (coalesce($1::uuid, '00000000-0000-0000-0000-000000000000'), coalesce($2::int, -1))
       ORDER BY txid, branch LIMIT $3`, [after?.txid ?? null, after?.branch ?? null, limit]);
    return rows.map(branchRow);
  }

  isTransient(error: unknown): boolean {
    return isTransientDatabaseError(error);
  }
}

/** What is used of a `pg` client. */
interface Connection {
  query(statement: string | Statement): Promise<{ readonly command: string; readonly rows: readonly any[] }>;
  /** As of the last answer: `T` in a transaction, `E` in a failed one, `I` in none. */
  getTransactionStatus(): 'T' | 'E' | 'I' | null;
  readonly connection: { readonly stream: { cork(): void; uncork(): void; destroy(): void } };
}

/** Ends INDEXES_ONLY, which is for our own named statements: a handler's are planned each time, with the server's settings. */
const AS_BEFORE = 'SET LOCAL enable_seqscan = DEFAULT; SET LOCAL enable_hashjoin = DEFAULT; SET LOCAL enable_mergejoin = DEFAULT';
const IN_FAILED_TRANSACTION = '25P02';

class TypeOrmBranchTransaction implements BranchTransaction<EntityManager> {
  readonly handle: EntityManager;
  /** Rows that are in the database, as this transaction last saw them. */
  private readonly known = new Map<string, BranchRow>();
  /** Statements that were sent without waiting for their answer, in order. COMMIT does not succeed unless all of them have. */
  private readonly unanswered: Promise<unknown>[] = [];
  private savepoints = 0;
  /** Savepoints that handlers opened by beginning a transaction of their own. */
  private readonly nested: string[] = [];
  private corked = false;
  /** BEGIN has been answered, so the connection's transaction status is about this transaction. */
  private answered = false;
  /** A savepoint could not be rolled back: nothing that follows may count. */
  private broken: Error | null = null;

  constructor(private readonly runner: QueryRunner, private readonly connection: Connection) {
    this.handle = runner.manager;
  }

  async run<T>(work: (tx: this) => Promise<T>): Promise<T> {
    await this.runner.broadcaster.broadcast('BeforeTransactionStart');
    this.send(BEGIN);
    Object.assign(this.runner, { isTransactionActive: true, transactionDepth: 1, ...this.nestedTransactions() });
    await this.runner.broadcaster.broadcast('AfterTransactionStart');
    try {
      const result = await work(this);
      await this.commit();
      return result;
    } catch (error) {
      const cause = await this.causeOf(error);
      // What went wrong first is what counts.
      await this.rollback().catch(() => this.discard());
      throw cause;
    }
  }

  /**
   * A handler that begins a transaction gets a savepoint, as with TypeORM. But TypeORM rolls the whole transaction back when that
   * savepoint cannot be had, and everything after it would be on its own: here a handler can end nothing but what it began.
   */
  private nestedTransactions(): Partial<QueryRunner> {
    return {
      startTransaction: async () => {
        const name = `handler_${this.savepoints++}`;
        await this.connection.query(`SAVEPOINT ${name}`);
        this.nested.push(name);
      },
      commitTransaction: async () => {
        await this.connection.query(`RELEASE SAVEPOINT ${this.nested.at(-1)}`);
        this.nested.pop();
      },
      rollbackTransaction: async () => {
        const name = this.nested.pop();
        if (name !== undefined) await this.connection.query(`ROLLBACK TO SAVEPOINT ${name}`);
      },
    };
  }

  async load(keys: readonly BranchKey[]): Promise<readonly BranchRow[]> {
    if (keys.length === 0) return [];
    this.send(INDEXES_ONLY);
    const answer = this.connection.query(loadBranches(keys));
    this.send(AS_BEFORE);
    const loaded = ((await answer).rows as readonly StoredRow[]).map(branchRow);
    this.answered = true;
    for (const row of loaded) this.known.set(keyOf(row), row);
    return loaded;
  }

  /** Resolves at once: the rows are written together with COMMIT. */
  async save(rows: readonly BranchRow[]): Promise<void> {
    const latest = [...new Map(rows.map((row) => [keyOf(row), row])).values()];
    const added = latest.filter((row) => !this.known.has(keyOf(row)));
    const changed = latest.filter((row) => this.known.has(keyOf(row))).map((row) => ({ row, before: this.known.get(keyOf(row))! }));
    if (added.length > 0) this.send(insertBranches(added));
    if (changed.length > 0) {
      this.send(INDEXES_ONLY);
      this.send(updateBranches(changed));
      this.send(AS_BEFORE);
    }
    for (const row of latest) this.known.set(keyOf(row), row);
  }

  async savepoint<T>(work: () => Promise<T>, release?: 'unchecked'): Promise<T> {
    this.requireOurs();
    const name = `concordat_${this.savepoints++}`;
    this.send(`SAVEPOINT ${name}`);
    try {
      const result = await work();
      this.requireOurs();
      if (release === 'unchecked') this.send(`RELEASE SAVEPOINT ${name}`);
      else await this.connection.query(`RELEASE SAVEPOINT ${name}`);
      return result;
    } catch (error) {
      await this.connection.query(`ROLLBACK TO SAVEPOINT ${name}`).catch((fault: unknown) => { this.broken ??= fault as Error; });
      throw error;
    }
  }

  /**
   * Reads the answer: after an error that nobody heard of (a handler swallowed it, or it is one of ours that was not waited for)
   * Postgres takes COMMIT for ROLLBACK without raising an error, and votes would leave for rows that do not exist.
   */
  private async commit(): Promise<void> {
    this.requireOurs();
    await this.runner.broadcaster.broadcast('BeforeTransactionCommit');
    const { command } = await this.connection.query('COMMIT');
    Object.assign(this.runner, { isTransactionActive: false, transactionDepth: 0 });
    if (command !== 'COMMIT') throw new Error('a handler caught an error of the database and went on: let it throw, or run the statement under a savepoint');
    await this.runner.broadcaster.broadcast('AfterTransactionCommit');
  }

  /** Outside of a transaction every statement would be on its own, and COMMIT would be answered as if all were well. */
  private requireOurs(): void {
    if (this.broken !== null) throw this.broken;
    if (this.nested.length > 0) throw new Error('a handler has returned while a transaction that it began is still open: await it');
    if (this.connection.getTransactionStatus() === 'I' && this.answered) throw new Error('a handler has ended the transaction of its branch: leave COMMIT and ROLLBACK to the participant');
  }

  private async rollback(): Promise<void> {
    // Something of a handler's may still be running on this connection.
    if (this.nested.length > 0) this.discard();
    await this.runner.broadcaster.broadcast('BeforeTransactionRollback');
    await this.connection.query('ROLLBACK');
    Object.assign(this.runner, { isTransactionActive: false, transactionDepth: 0 });
    await this.runner.broadcaster.broadcast('AfterTransactionRollback');
  }

  /** The pool replaces a connection whose socket is gone. */
  private discard(): void {
    this.connection.connection.stream.destroy();
  }

  /** The first failure is the cause of the others. */
  private async causeOf(error: unknown): Promise<unknown> {
    const failure = (await Promise.allSettled(this.unanswered)).find((answer) => answer.status === 'rejected')?.reason as { code?: string; constraint?: string } | undefined;
    if (failure === undefined || failure.code === IN_FAILED_TRANSACTION) return error;
    return failure.code === '23505' && failure.constraint === 'concordat_branch_pkey' ? new BranchRaceError() : failure;
  }

  /** Leaves in one write to the socket with everything else that is sent in this turn of the event loop. */
  private send(statement: string | Statement): void {
    if (!this.corked) this.cork();
    const answer = this.connection.query(statement);
    answer.catch(() => undefined);
    this.unanswered.push(answer);
  }

  private cork(): void {
    const { stream } = this.connection.connection;
    this.corked = true;
    stream.cork();
    setImmediate(() => {
      this.corked = false;
      stream.uncork();
    });
  }
}

interface StoredRow {
  readonly txid: Txid;
  readonly branch: number;
  readonly state: BranchState;
  readonly one_phase: boolean;
  readonly operation: string;
  readonly payload: Json;
  readonly peers: Peers;
  readonly reason: Reason | null;
  readonly result: Json | null;
  readonly updated_at: Date;
}

function branchRow({ one_phase, updated_at, ...row }: StoredRow): BranchRow {
  return { ...row, onePhase: one_phase, updatedAtMs: updated_at.getTime() };
}

function keyOf(key: BranchKey): string {
  return `${key.txid}/${key.branch}`;
}
