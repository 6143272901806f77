import type { OutcomeStatus, Txid } from '#libs/protocol';
import { UnavailableError, type BeginRequest, type BeginResult, type CoordinatorDriver, type TransactionView } from '#libs/runtime';
import type { CoordinatorTables } from './coordinator-tables.js';
import type { Instance } from './instances.js';
import type { SimProcess } from './process.js';
import type { Random } from './random.js';
import type { Scheduler } from './scheduler.js';
import type { Witness } from './witness.js';

/** Of each protocol's request by itself. */
type WithoutIdentity<Request> = Request extends unknown ? Omit<Request, 'metadata' | 'idempotency'> : never;

/** What a client wants; drawn before it starts. */
export interface Wish {
  readonly number: number;
  readonly request: WithoutIdentity<BeginRequest>;
  /** With a key a client asks again, anywhere, until it has an answer; without one it asks once. */
  readonly hasKey: boolean;
  /** Cancels, resolves or repeats its transaction after so long, if it has heard of its id by then. */
  readonly act: { readonly kind: 'CANCEL' | 'RESOLVE' | 'RETRY_NOW' | 'SKIP_STEP'; readonly afterMs: number } | null;
  /** Milliseconds that it waits for one answer. */
  readonly patienceMs: number;
}

export interface ClientContext {
  readonly scheduler: Scheduler;
  readonly random: Random;
  readonly witness: Witness;
  readonly tables: CoordinatorTables;
  coordinators(): readonly Instance<CoordinatorDriver>[];
  onAnswer(process: SimProcess, txid: Txid, outcome: OutcomeStatus): void;
}

const RETRY_MS = 150;

/** One client with one wish. What it was told is on record for the checks. */
export class Client {
  isDone = false;
  /** Transactions that its key (or its one request) was told to be. */
  readonly txids = new Set<Txid>();
  readonly answers: OutcomeStatus[] = [];
  /** Requests (by number) of which it was told that they will never commit. */
  readonly refused = new Set<number>();
  private requests = 0;

  constructor(readonly wish: Wish, private readonly context: ClientContext) {}

  async run(): Promise<void> {
    do {
      const instance = this.anyCoordinator();
      const txid = instance === null ? null : await this.submit(instance);
      if (txid !== null && (await this.wait(instance!, txid))) break;
      await this.context.scheduler.sleep(RETRY_MS);
    } while (this.wish.hasKey);
    this.isDone = true;
  }

  private anyCoordinator(): Instance<CoordinatorDriver> | null {
    const instances = this.context.coordinators();
    return instances.length === 0 ? null : this.context.random.pick(instances);
  }

  /** Null: nobody knows, or the request was refused. */
  private async submit({ process, driver }: Instance<CoordinatorDriver>): Promise<Txid | null> {
    const { number, request: wanted, hasKey } = this.wish;
    const request = this.requests++;
    const idempotency = hasKey ? { key: `key ${number}`, requestHash: `hash ${number}` } : null;
    const begun = driver.begin({ ...wanted, idempotency, metadata: { client: number, request } });
    const result = await this.patiently(process, 'begin', begun.catch((error: unknown) => error as Error));
    if (result instanceof UnavailableError) this.refused.add(request);
    else if (result instanceof Error) this.context.witness.object(`UNEXPECTED: ${process.name}, begin: ${result.stack}`);
    if (result === null || result instanceof Error) return null;
    return this.takeId(result);
  }

  private takeId(result: BeginResult): Txid {
    const { wish: { number }, context: { witness } } = this;
    this.txids.add(result.txid);
    if (this.txids.size > 1) witness.object(`KEY: client ${number} was given two transactions for one key`);
    if (result.kind === 'duplicate' && result.requestHash !== `hash ${number}`) witness.object(`KEY: client ${number} was given another client's transaction`);
    return result.txid;
  }

  /** True when it has its answer. */
  private async wait(instance: Instance<CoordinatorDriver>, txid: Txid): Promise<boolean> {
    const { wish: { request: { waitFor }, patienceMs }, context: { scheduler, tables } } = this;
    this.actLater(instance, txid);
    const { process, driver } = instance;
    const view = await this.patiently(process, 'settled', driver.settled(txid, waitFor, patienceMs));
    const told = view === null ? null : outcomeOf(view);
    if (told !== null) return this.answered(process, txid, told);
    // In no memory that it can reach: whoever answers it now reads the tables.
    await scheduler.sleep(RETRY_MS);
    const stored = tables.outcome(txid);
    if (stored !== null) return this.answered(process, txid, stored);
    return false;
  }

  private answered(process: SimProcess, txid: Txid, outcome: OutcomeStatus): true {
    this.answers.push(outcome);
    this.context.witness.told(txid, outcome, `answer to client ${this.wish.number}`);
    this.context.onAnswer(process, txid, outcome);
    return true;
  }

  private actLater({ process, driver }: Instance<CoordinatorDriver>, txid: Txid): void {
    const { act } = this.wish;
    if (act === null) return;
    const input = inputOf(act.kind);
    this.context.scheduler.in(act.afterMs, () => {
      if (process.alive) void process.ask(`act ${act.kind}`, driver.act(txid, input));
    });
  }

  /** Null when the process dies, or the client's patience ends. */
  private async patiently<T>(process: SimProcess, what: string, answer: Promise<T>): Promise<T | null> {
    const first = await Promise.race([process.ask(what, answer), this.context.scheduler.sleep(2 * this.wish.patienceMs)]);
    return first === 'dead' || first === undefined ? null : first;
  }
}

function outcomeOf({ decision }: TransactionView): OutcomeStatus | null {
  return decision === null ? null : decision === 'COMMIT' ? 'committed' : 'aborted';
}

function inputOf(kind: NonNullable<Wish['act']>['kind']): Parameters<CoordinatorDriver['act']>[1] {
  switch (kind) {
    case 'RETRY_NOW':
      return { kind };
    case 'CANCEL':
      return { kind, reason: { code: 'CANCELLED' } };
    case 'RESOLVE':
      return { kind, reason: { code: 'RESOLVED_BY_OPERATOR' } };
    case 'SKIP_STEP':
      return { kind, step: 's0', reason: { code: 'SKIPPED_BY_OPERATOR' } };
  }
}
