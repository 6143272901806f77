import type { BranchTransaction, ExpectedBranches, SiteKeys, SiteRows } from '#libs/runtime';
import type { EntityManager, QueryRunner } from 'typeorm';
import { branchRow, type StoredBranch } from './branch-row.js';
import { BranchRaceError } from './errors.js';
import { branchKey, KnownRows, loadStatements } from './known-rows.js';
import { BEGIN, INDEXES_ONLY } from './pipeline.js';
import { CHANGING_BRANCHES, ROW_CHANGED } from './sql/branches.js';
import { acceptorRow, type StoredAcceptor } from './sql/acceptors.js';
import { BALLOT_NOT_GREATER, leaderRow, type StoredLeader } from './sql/leaders.js';
import type { Statement } from './sql/statement.js';
import { prepared } from './statement-names.js';

interface Answer {
  readonly command: string;
  readonly rows: readonly unknown[];
}

/** What is used of a `pg` client. */
export interface Connection {
  query(statement: string | Statement): Promise<Answer>;
  /** As of the last answer: `T` in a transaction, `E` in a failed one, `I` in none. */
  getTransactionStatus(): 'T' | 'E' | 'I' | null;
  readonly connection: { readonly stream: { cork(): void; uncork(): void; destroy(): void } };
}

/** Ends INDEXES_ONLY, which is for our own statements: a handler's are planned with the server's settings. */
const AS_BEFORE = 'SET LOCAL enable_seqscan = DEFAULT; SET LOCAL enable_hashjoin = DEFAULT; SET LOCAL enable_mergejoin = DEFAULT; SET LOCAL plan_cache_mode = DEFAULT';
const IN_FAILED_TRANSACTION = '25P02';
const UNIQUE_VIOLATION = '23505';

/** One local database transaction: the site's rows and what handlers do, together or not at all. */
export class TypeOrmBranchTransaction implements BranchTransaction<EntityManager> {
  readonly handle: EntityManager;
  private readonly known = new KnownRows();
  /** Statements that were sent without waiting for their answer, in order. COMMIT does not succeed unless all of them have. */
  private readonly unanswered: Promise<unknown>[] = [];
  /** Statements without parameters that are to be sent before anything else: the database answers each message it gets, so they go in one. */
  private unsent: string[] = [];
  private savepoints = 0;
  /** Savepoints that handlers opened by beginning a transaction of their own. */
  private readonly nested: string[] = [];
  private corked = false;
  /** BEGIN has been answered, so the connection's transaction status is about this transaction. */
  private answered = false;
  /** A savepoint could not be rolled back: nothing that follows may count. */
  private broken: Error | null = null;
  private onSent: (() => void) | null = null;

  constructor(private readonly runner: QueryRunner, private readonly connection: Connection) {
    this.handle = runner.manager;
  }

  async run<T>(work: (tx: this) => Promise<T>): Promise<T> {
    await this.runner.broadcaster.broadcast('BeforeTransactionStart');
    this.send(BEGIN);
    Object.assign(this.runner, { isTransactionActive: true, transactionDepth: 1, connect: () => this.connected(), ...this.nestedTransactions() });
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
        await this.query(`SAVEPOINT ${name}`);
        this.nested.push(name);
      },
      commitTransaction: async () => {
        await this.query(`RELEASE SAVEPOINT ${this.nested.at(-1)}`);
        this.nested.pop();
      },
      rollbackTransaction: async () => {
        const name = this.nested.pop();
        if (name !== undefined) await this.query(`ROLLBACK TO SAVEPOINT ${name}`);
      },
    };
  }

  sent(): Promise<void> {
    return new Promise((resolve) => { this.onSent = resolve; });
  }

  /** TypeORM asks for the connection just before each statement; from there on it takes the same steps for all of them. */
  private async connected(): Promise<unknown> {
    this.flush();
    this.onSent?.();
    this.onSent = null;
    return prepared(this.connection);
  }

  /** One round trip for all of the tables; none, if all is expected. */
  async load(keys: SiteKeys, expected?: ExpectedBranches): Promise<SiteRows> {
    const wanted = loadStatements(expected === undefined ? keys : without(keys, expected));
    const present = { branches: expected?.present ?? [], acceptors: [], leaders: [] };
    this.known.learn(present);
    if (wanted.branches === null && wanted.acceptors === null && wanted.leaders === null) return present;
    this.send(INDEXES_ONLY);
    const answers = [wanted.branches, wanted.acceptors, wanted.leaders].map(async (statement) => (statement === null ? [] : (await this.ask(statement)).rows));
    this.send(AS_BEFORE);
    const [branches, acceptors, leaders] = await Promise.all(answers);
    const rows: SiteRows = {
      branches: (branches as readonly StoredBranch[]).map(branchRow),
      acceptors: (acceptors as readonly StoredAcceptor[]).map(acceptorRow),
      leaders: (leaders as readonly StoredLeader[]).map(leaderRow),
    };
    this.known.learn(rows);
    return { ...rows, branches: [...rows.branches, ...present.branches] };
  }

  /** Resolves at once: the rows are written together with COMMIT. */
  async save(rows: SiteRows): Promise<void> {
    const { inserting, finding } = this.known.write(rows);
    // Ahead of all of them: in one message with the release of the savepoint.
    if (finding.length > 0) this.send(INDEXES_ONLY);
    for (const statement of [...inserting, ...finding]) this.send(statement);
  }

  async savepoint<T>(work: () => Promise<T>, release?: 'unchecked'): Promise<T> {
    this.requireOurs();
    const name = `concordat_${this.savepoints++}`;
    this.send(`SAVEPOINT ${name}`);
    this.flush();
    try {
      const result = await work();
      this.requireOurs();
      if (release === 'unchecked') this.send(`RELEASE SAVEPOINT ${name}`);
      else await this.query(`RELEASE SAVEPOINT ${name}`);
      return result;
    } catch (error) {
      await this.query(`ROLLBACK TO SAVEPOINT ${name}`).catch((fault: unknown) => { this.broken ??= fault as Error; });
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
    const { command } = await this.query('COMMIT');
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
    await this.query('ROLLBACK');
    Object.assign(this.runner, { isTransactionActive: false, transactionDepth: 0 });
    await this.runner.broadcaster.broadcast('AfterTransactionRollback');
  }

  /** The pool replaces a connection whose socket is gone. */
  private discard(): void {
    this.connection.connection.stream.destroy();
  }

  /** The first failure is the cause of the others. */
  private async causeOf(error: unknown): Promise<unknown> {
    const failure = (await Promise.allSettled(this.unanswered)).find((answer) => answer.status === 'rejected')?.reason as { code?: string } | undefined;
    return failure === undefined || failure.code === IN_FAILED_TRANSACTION ? error : failure;
  }

  /** Leaves in one write to the socket with everything else that is sent in this turn of the event loop. Text leaves no later than the next statement. */
  private send(statement: string | Statement): void {
    if (typeof statement === 'string') this.unsent.push(statement);
    else void this.ask(statement);
  }

  /** As `send`, for whoever wants the answer. */
  private ask(statement: Statement): Promise<Answer> {
    this.flush();
    return this.issue(statement);
  }

  /** By itself: its failure is its caller's, not the transaction's. */
  private query(text: string): Promise<Answer> {
    this.flush();
    return this.connection.query(text);
  }

  private flush(): void {
    if (this.unsent.length === 0) return;
    const text = this.unsent.join('; ');
    this.unsent = [];
    // BEGIN is in the first.
    void this.issue(text).then(() => { this.answered = true; }, () => undefined);
  }

  private issue(statement: string | Statement): Promise<Answer> {
    if (!this.corked) this.cork();
    const answer = this.connection.query(statement).catch((fault: Error & { code?: string }) => { throw isRace(statement, fault) ? new BranchRaceError() : fault; });
    answer.catch(() => undefined);
    this.unanswered.push(answer);
    return answer;
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

/** Another process was faster: a row of ours is there that was not, or is in another state, or a leader's ballot is not the one that was loaded. */
function isRace(statement: string | Statement, fault: { readonly code?: string }): boolean {
  if (typeof statement === 'string') return false;
  return (fault.code === UNIQUE_VIOLATION && statement.name.startsWith('insert-')) || (fault.code === BALLOT_NOT_GREATER && statement.name === 'update-leaders')
    || (fault.code === ROW_CHANGED && CHANGING_BRANCHES.has(statement.name));
}

/** What is expected is among the keys. */
function without(keys: SiteKeys, { present, absent }: ExpectedBranches): SiteKeys {
  if (present.length + absent.length === keys.branches.length) return { ...keys, branches: [] };
  const expected = new Set([...present, ...absent].map(branchKey));
  return { ...keys, branches: keys.branches.filter((key) => !expected.has(branchKey(key))) };
}
