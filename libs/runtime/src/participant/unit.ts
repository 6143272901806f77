import type { AcceptorRow, Envelope, Txid } from '#libs/protocol';
import type { AnyBranchRow, BranchStore, BranchTransaction, Clock, LeaderRow, SiteRows } from '../ports.js';
import { checkExpected, expectationsOf, type Expectation } from './expectations.js';
import { branchId, idOf, type SiteKey } from './keys.js';
import type { Roles } from './roles/index.js';
import { acceptorBeside } from './roles/paxos-commit.js';
import type { Memory, Row } from './roles/role.js';
import { routeOf } from './roles/routing.js';
import { Run, type Outcome, type Work } from './run.js';
import type { SiteConfig } from './site-config.js';
import type { HandlerCall, HandlerResult, HandlerRunner } from './types.js';

export interface UnitContext<Handle> {
  readonly store: BranchStore<Handle>;
  readonly runner: HandlerRunner<Handle>;
  readonly clock: Clock;
  readonly config: SiteConfig;
  readonly roles: Roles;
  isParked(id: string): boolean;
  recall(id: string): Memory | null;
  /** What the database should have of a branch, from what this process has written last; null: it cannot tell. */
  expect(id: string, txid: Txid): Expectation | null;
}

/** How far an attempt came, for whoever catches its error. */
export interface Trial {
  loaded: boolean;
  /** Handlers were running: if the fault is a passing one of the database, it may be theirs all the same (a statement that always times out). */
  inHandlers: boolean;
}

/**
 * ONE local database transaction: one load for all rows, one call of the runner for all handlers (one more for each further step of
 * a branch), one write for all rows. When it resolves all of it is durable and the messages may leave; when it rejects nothing has happened,
 * or, if the flush itself failed, everything may have happened: running it again is right either way.
 *
 * What one machine of the site says to another of the same unit is heard at once, inside the same transaction: their rows become durable
 * together, so nothing that depends on the first row is ever known without it. This is what makes an acceptor beside a participant cheap.
 *
 * What is expected is not loaded: a new branch has no row, and one that this process has prepared has the row that it wrote. The database
 * verifies both as it writes; what is not written in the end is looked up after all. A wrong expectation ends the attempt (BRANCH_RACE).
 * @param works at most one per key
 * @param trusting false: all rows are loaded
 * @param condemned if given, no handler runs, and each is taken to have failed with this
 */
export function runUnit<Handle>(
  works: readonly Work[], context: UnitContext<Handle>, trial: Trial, condemned: { readonly error: unknown } | null, trusting: boolean,
): Promise<readonly Outcome[]> {
  return context.store.transact(async (tx) => {
    const beside = besideOf(works, context.config.name);
    const expected = trusting ? expectationsOf(works, context) : null;
    const rows = rowsById(await tx.load(loadOf(works, beside), expected ?? undefined));
    trial.loaded = expected === null;
    const runs = runsOf(works, beside, rows, context);
    const run = condemned === null
      ? (calls: readonly HandlerCall[]) => runHandlers(tx, calls, context, trial)
      : async (calls: readonly HandlerCall[]) => calls.map((): HandlerResult => ({ ok: false, error: condemned.error }));
    await workOff([...runs.values()], run);
    const outcomes = [...runs.values()].filter((each) => each.isTouched).map((each) => each.outcome());
    if (expected !== null) await checkExpected(tx, expected, outcomes);
    if (outcomes.some(({ written }) => written)) await tx.save(writtenBy(outcomes));
    return outcomes;
  });
}

/** Machines beside those of the works that will be spoken to. */
function besideOf(works: readonly Work[], name: string): readonly Work[] {
  const found = new Map<string, Work>();
  for (const { inputs } of works) {
    for (const { input } of inputs) {
      const key = acceptorBeside(input, name);
      if (key !== null) found.set(idOf(key), { id: idOf(key), key, inputs: [] });
    }
  }
  if (found.size > 0) for (const { id } of works) found.delete(id);
  return [...found.values()];
}

function runsOf<Handle>(
  works: readonly Work[], beside: readonly Work[], rows: ReadonlyMap<string, Row>, { roles, clock, config, isParked, recall }: UnitContext<Handle>,
): ReadonlyMap<string, Run> {
  const runs = new Map<string, Run>();
  const post = (envelope: Envelope): boolean => {
    const route = isHere(envelope, config.name) ? routeOf(envelope.message) : null;
    const run = route === null ? undefined : runs.get(idOf(route.key));
    if (route === null || run === undefined || envelope.message.kind === 'ANNOUNCE') return false;
    run.add({ role: route.role, input: { kind: 'MESSAGE', message: envelope.message }, isRetry: false, batch: null });
    return true;
  };
  const context = { roles, nowMs: clock.now(), isParked, post };
  for (const some of [works, beside]) for (const { id, key, inputs } of some) runs.set(id, new Run(id, key, inputs, rows.get(id) ?? null, recall(id), context));
  return runs;
}

/** Addressed to a machine of this very site. */
export function isHere({ to }: Envelope, name: string): boolean {
  return to.role !== 'coordinator' && to.name === name;
}

async function workOff(runs: readonly Run[], run: (calls: readonly HandlerCall[]) => Promise<readonly HandlerResult[]>): Promise<void> {
  for (;;) {
    // One that is through may be spoken to by another.
    while (runs.some((each) => each.isReady)) for (const each of runs) each.advance();
    const waiting = runs.filter((each) => each.call !== null);
    if (waiting.length === 0) return;
    const results = await run(waiting.map((each) => each.call!));
    waiting.forEach((each, index) => each.executed(results[index]!));
  }
}

async function runHandlers<Handle>(
  tx: BranchTransaction<Handle>, calls: readonly HandlerCall[], { runner, store }: UnitContext<Handle>, trial: Trial,
): Promise<readonly HandlerResult[]> {
  trial.inHandlers = true;
  const results = await runner.run(tx, calls);
  if (results.length !== calls.length) throw new Error(`the handler runner gave ${results.length} results for ${calls.length} calls`);
  for (const result of results) if (!result.ok && store.isTransient(result.error)) throw result.error;
  trial.inHandlers = false;
  return results;
}

// ---------------------------------------------------------------- rows

function loadOf(works: readonly Work[], beside: readonly Work[]) {
  const load = { branches: [] as Extract<SiteKey, { role: 'branch' }>[], acceptors: [] as SiteKey['txid'][], leaders: [] as SiteKey['txid'][] };
  for (const some of [works, beside]) {
    for (const { key } of some) {
      if (key.role === 'branch') load.branches.push(key);
      else load[key.role === 'acceptor' ? 'acceptors' : 'leaders'].push(key.txid);
    }
  }
  return load;
}

function rowsById({ branches, acceptors, leaders }: SiteRows): ReadonlyMap<string, Row> {
  const rows = new Map<string, Row>();
  for (const row of branches) rows.set(branchId(row), { table: 'branches', row });
  for (const row of acceptors) rows.set(idOf({ role: 'acceptor', txid: row.txid }), { table: 'acceptors', row });
  for (const row of leaders) rows.set(idOf({ role: 'leader', txid: row.group.txid }), { table: 'leaders', row });
  return rows;
}

function writtenBy(outcomes: readonly Outcome[]): SiteRows {
  const rows = { branches: [] as AnyBranchRow[], acceptors: [] as AcceptorRow[], leaders: [] as LeaderRow[] };
  for (const { written, row } of outcomes) {
    if (!written || row === null) continue;
    if (row.table === 'branches') rows.branches.push(row.row);
    else if (row.table === 'acceptors') rows.acceptors.push(row.row);
    else rows.leaders.push(row.row);
  }
  return rows;
}
