import { type HandlerVote, ReasonCode } from '#libs/protocol';
import type { BranchTransaction, HandlerCall, HandlerResult, HandlerRunner } from '#libs/runtime';
import type { EntityManager } from 'typeorm';
import type { BranchCall } from './call.js';
import { checkVote, checkVotes, handlerFailed, refusal, type VoteTaker } from './check-vote.js';
import { inTurn, type Part } from './in-turn.js';
import { type BoundHandler, handlersFor, type OperationDefinition, type ParticipantDefinition } from './definition.js';

export type Action = HandlerCall['action'];

export interface RunnerObserver {
  /** One group of calls has run. */
  ran(operation: string, action: Action, calls: readonly Pick<HandlerCall, 'protocol'>[]): void;
  voted(call: Pick<HandlerCall, 'protocol' | 'operation'>, vote: HandlerVote): void;
  /** A handler threw something that is its own fault; `calls` is how many ran together. */
  failed(operation: string, action: Action, calls: number, error: unknown): void;
}

export interface RunnerOptions {
  /** True for faults of the database that go away by themselves: the whole batch is to be tried again. */
  readonly isTransient: (error: unknown) => boolean;
  readonly observer?: RunnerObserver;
}

interface Job {
  /** Place in the list of calls and results. */
  readonly index: number;
  readonly action: Action;
  readonly operation: OperationDefinition;
  /** What the action runs, one after the other. */
  readonly handlers: readonly BoundHandler[];
  readonly call: BranchCall;
}

/** The jobs of one operation and action, in the order of the calls. */
interface Group extends Pick<Job, 'operation' | 'action' | 'handlers'> {
  readonly jobs: readonly Job[];
}

type Results = (HandlerResult | undefined)[];
type Transaction = BranchTransaction<EntityManager>;

/** What is given back helps those that take: aborts, compensations and commits run before prepares and executes. */
const ORDER: Readonly<Record<Action, number>> = { abort: 0, compensate: 1, commit: 2, prepare: 3, 'prepare-and-commit': 4, execute: 5 };
/** Those whose handlers may say no. */
const ASKING: ReadonlySet<Action> = new Set(['prepare', 'prepare-and-commit', 'execute']);

/** Carries a refusal out of the savepoint that it rolls back. */
class Refused extends Error {
  constructor(readonly vote: HandlerVote) {
    super('refused');
  }
}

/**
 * Runs the handlers of one batch inside the batch's local transaction.
 *
 *   1. Unknown operations and payloads that break the schema are refused without a handler.
 *   2. Groups (operation, action) whose handlers take batches run together under ONE savepoint, which is the cheap and usual way.
 *   3. Did one of them throw, each group runs under a savepoint of its own; a group that throws runs call by call, so that
 *      only the call at fault fails: a prepare refuses with HANDLER_FAILED, every other action answers `ok: false`.
 *   4. Per-item handlers run call by call, each under a savepoint, which a refusal rolls back too.
 *
 * Transient faults of the database are thrown at any step.
 */
export class ParticipantHandlerRunner implements HandlerRunner<EntityManager> {
  constructor(private readonly definition: ParticipantDefinition, private readonly options: RunnerOptions) {}

  async run(tx: Transaction, calls: readonly HandlerCall[]): Promise<readonly HandlerResult[]> {
    const results: Results = calls.map(() => undefined);
    const groups = groupsOf(this.admit(calls, results));
    await this.runBatches(tx, groups.filter(takesBatches), results);
    for (const group of groups) if (!takesBatches(group)) await this.runOneByOne(tx, group, results);
    this.report(groups, calls, results);
    return results as readonly HandlerResult[];
  }

  /** Answers what needs no handler and returns the rest. */
  private admit(calls: readonly HandlerCall[], results: Results): readonly Job[] {
    return calls.flatMap((call, index) => {
      const operation = this.definition.get(call.operation);
      const handlers = operation === undefined ? null : handlersFor(operation, call.action);
      const asking = ASKING.has(call.action);
      if (operation === undefined || handlers === null) {
        const detail = this.missing(call, operation);
        results[index] = asking ? voted(refusal(ReasonCode.UNKNOWN_OPERATION, detail)) : { ok: false, error: new Error(detail) };
        return [];
      }
      const problem = asking ? operation.checkPayload(call.payload) : null;
      if (problem === null) return [{ index, action: call.action, operation, handlers, call: branchCall(call) }];
      results[index] = voted(refusal(ReasonCode.INVALID_PAYLOAD, problem));
      return [];
    });
  }

  private missing({ operation: name, action }: HandlerCall, operation: OperationDefinition | undefined): string {
    if (operation !== undefined) return `operation '${name}' has no ${action} handler here`;
    return `there is no operation '${name}' here; there is ${[...this.definition.keys()].map((known) => `'${known}'`).join(', ') || 'none'}`;
  }

  private async runBatches(tx: Transaction, groups: readonly Group[], results: Results): Promise<void> {
    if (groups.length === 0 || (await this.runTogether(tx, groups, results))) return;
    if (groups.length === 1) return this.runOneByOne(tx, groups[0]!, results);
    for (const group of groups) await this.runBatches(tx, [group], results);
  }

  /** False when a handler threw what is not the database's fault; nothing has happened then. */
  private async runTogether(tx: Transaction, groups: readonly Group[], results: Results): Promise<boolean> {
    const locks = lockParts(groups, tx.handle);
    const work = groups.map((group): Part<readonly HandlerResult[]> => ({ overlaps: isOneStatement(group), run: () => callBatch(group, tx.handle) }));
    let failed = groups[0]!;
    try {
      const outcomes = await tx.savepoint(() => inTurn(tx, [...locks, ...work], (part) => { failed = groups[part - locks.length] ?? failed; }), 'unchecked');
      groups.forEach((group, g) => place(group, outcomes[locks.length + g]!, results));
      return true;
    } catch (error) {
      this.ownFault(error, failed);
      return false;
    }
  }

  private async runOneByOne(tx: Transaction, group: Group, results: Results): Promise<void> {
    for (const job of group.jobs) results[job.index] = await this.runAlone(tx, { ...group, jobs: [job] });
  }

  private async runAlone(tx: Transaction, single: Group): Promise<HandlerResult> {
    try {
      return await tx.savepoint(async () => {
        const result = await callAlone(single, tx.handle);
        if (result.ok && result.vote?.vote === 'no') throw new Refused(result.vote);
        return result;
      });
    } catch (error) {
      if (error instanceof Refused) return voted(error.vote);
      this.ownFault(error, single);
      // A step that throws may be asked again; a prepare is asked once.
      return single.action !== 'execute' && ASKING.has(single.action) ? voted(handlerFailed(error)) : { ok: false, error };
    }
  }

  /** Throws what is the database's fault, reports what is the handler's. */
  private ownFault(error: unknown, { operation, action, jobs }: Group): void {
    if (this.options.isTransient(error)) throw error;
    this.options.observer?.failed(operation.name, action, jobs.length, error);
  }

  private report(groups: readonly Group[], calls: readonly HandlerCall[], results: Results): void {
    const { observer } = this.options;
    if (observer === undefined) return;
    for (const { operation, action, jobs } of groups) observer.ran(operation.name, action, jobs.map(({ index }) => calls[index]!));
    results.forEach((result, i) => {
      // The name of an unknown operation comes from outside: it must not become a metric's label.
      const { protocol, operation } = calls[i]!;
      if (result?.ok === true && result.vote !== null) observer.voted({ protocol, operation: this.definition.has(operation) ? operation : 'unknown' }, result.vote);
    });
  }
}

function voted(vote: HandlerVote): HandlerResult {
  return { ok: true, vote };
}

const DONE: HandlerResult = { ok: true, vote: null };

function branchCall({ txid, branch, operation, payload, inputs, result }: HandlerCall): BranchCall {
  return { txid, branch, operation, payload, inputs, result };
}

function groupsOf(jobs: readonly Job[]): readonly Group[] {
  const groups = new Map<string, Group & { readonly jobs: Job[] }>();
  for (const job of jobs) {
    const { action, operation, handlers } = job;
    const key = `${action} ${operation.name}`;
    const group = groups.get(key);
    if (group === undefined) groups.set(key, { operation, action, handlers, jobs: [job] });
    else group.jobs.push(job);
  }
  return [...groups.values()].sort((a, b) => ORDER[a.action] - ORDER[b.action] || compare(a.operation.name, b.operation.name));
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

function takesBatches({ handlers }: Group): boolean {
  return handlers.every((handler) => handler.batch);
}

/** One call per operation, operations by name: batches that run at the same time lock in the same order. None for a single call. */
function lockParts(groups: readonly Group[], manager: EntityManager): readonly Part<readonly HandlerResult[]>[] {
  const callsByOperation = new Map<OperationDefinition, BranchCall[]>();
  let total = 0;
  for (const { operation, jobs } of groups) {
    total += jobs.length;
    if (operation.lock === null) continue;
    const calls = callsByOperation.get(operation) ?? [];
    for (const { call } of jobs) calls.push(call);
    callsByOperation.set(operation, calls);
  }
  if (total < 2) return [];
  return [...callsByOperation].sort(([a], [b]) => compare(a.name, b.name)).map(([{ lock }, calls]) => ({
    overlaps: lock!.oneStatement,
    run: async () => {
      await lock!.call(calls, manager);
      return [];
    },
  }));
}

function isOneStatement({ handlers: [handler, ...more] }: Group): boolean {
  return handler!.batch && handler!.oneStatement && more.length === 0;
}

async function callBatch(group: Group, manager: EntityManager): Promise<readonly HandlerResult[]> {
  const calls = group.jobs.map((job) => job.call);
  const [handler] = group.handlers;
  const returned = await invoke(handler!, calls, manager);
  if (!ASKING.has(group.action)) return calls.map(() => DONE);
  const votes = checkVotes(returned, calls.length, takesOf(group));
  await commitAccepted(group, calls, votes, manager);
  return votes.map(voted);
}

/** As callBatch for a group of one, whatever its handlers take. */
async function callAlone(group: Group, manager: EntityManager): Promise<HandlerResult> {
  const { call } = group.jobs[0]!;
  const [handler] = group.handlers;
  const returned = await invoke(handler!, [call], manager);
  if (!ASKING.has(group.action)) return DONE;
  const takes = takesOf(group);
  const vote = handler!.batch ? checkVotes(returned, 1, takes)[0]! : checkVote(returned, takes);
  await commitAccepted(group, [call], [vote], manager);
  return voted(vote);
}

/** There is a second handler only in prepare-and-commit: it finishes what said yes. */
async function commitAccepted({ handlers: [, commit] }: Group, calls: readonly BranchCall[], votes: readonly HandlerVote[], manager: EntityManager): Promise<void> {
  if (commit === undefined) return;
  const accepted = calls.flatMap((call, i) => (votes[i]!.vote === 'yes' ? [{ ...call, result: votes[i]!.result ?? null }] : []));
  if (accepted.length > 0) await invoke(commit, accepted, manager);
}

function takesOf({ action }: Group): VoteTaker {
  return action === 'execute' ? 'execute' : 'prepare';
}

/** An item handler takes exactly one call. */
async function invoke(handler: BoundHandler, calls: readonly BranchCall[], manager: EntityManager): Promise<unknown> {
  return handler.batch ? handler.call(calls, manager) : handler.call(calls[0]!, manager);
}

function place(group: Group, outcomes: readonly HandlerResult[], results: Results): void {
  group.jobs.forEach((job, i) => { results[job.index] = outcomes[i]!; });
}
