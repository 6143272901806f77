import type { ParticipantConfig } from '#libs/protocol';
import type { BranchStore, BranchTransaction, Clock } from '../ports.js';
import { BranchRun, type BranchOutcome, type BranchWork } from './branch-run.js';
import { idOf } from './keys.js';
import type { HandlerCall, HandlerResult, HandlerRunner } from './types.js';

export interface UnitContext<Handle> {
  readonly store: BranchStore<Handle>;
  readonly runner: HandlerRunner<Handle>;
  readonly clock: Clock;
  readonly config: ParticipantConfig;
  isParked(id: string): boolean;
}

/** How far an attempt came, for whoever catches its error. */
export interface Trial {
  loaded: boolean;
}

/**
 * ONE local database transaction: one query for all rows, one call of the runner for all handlers (one more for each further step of
 * a branch), one write for all rows. When it resolves all of it is durable and the messages may leave; when it rejects nothing has happened,
 * or, if the flush itself failed, everything may have happened: running it again is right either way.
 * @param works at most one per branch
 * @param condemned if given, no handler runs, and each is taken to have failed with this
 */
export function runUnit<Handle>(
  works: readonly BranchWork[], context: UnitContext<Handle>, trial: Trial, condemned: { readonly error: unknown } | null,
): Promise<readonly BranchOutcome[]> {
  return context.store.transact(async (tx) => {
    const rows = new Map((await tx.load(works.map(({ key }) => key))).map((row) => [idOf(row), row]));
    trial.loaded = true;
    const runContext = { config: context.config, nowMs: context.clock.now(), isParked: (id: string) => context.isParked(id) };
    const runs = works.map((work) => new BranchRun(work, rows.get(work.id) ?? null, runContext));
    const run = condemned === null
      ? (calls: readonly HandlerCall[]) => runHandlers(tx, calls, context)
      : async (calls: readonly HandlerCall[]) => calls.map((): HandlerResult => ({ ok: false, error: condemned.error }));
    await workOff(runs, run);
    const outcomes = runs.map((branch) => branch.outcome());
    const written = outcomes.flatMap(({ row, written }) => (written && row !== null ? [row] : []));
    if (written.length > 0) await tx.save(written);
    return outcomes;
  });
}

async function workOff(runs: readonly BranchRun[], run: (calls: readonly HandlerCall[]) => Promise<readonly HandlerResult[]>): Promise<void> {
  let waiting = runs.filter((branch) => branch.advance());
  while (waiting.length > 0) {
    const results = await run(waiting.map((branch) => branch.call!));
    waiting.forEach((branch, index) => branch.executed(results[index]!));
    waiting = waiting.filter((branch) => branch.advance());
  }
}

async function runHandlers<Handle>(
  tx: BranchTransaction<Handle>, calls: readonly HandlerCall[], { runner, store }: UnitContext<Handle>,
): Promise<readonly HandlerResult[]> {
  const results = await runner.run(tx, calls);
  if (results.length !== calls.length) throw new Error(`the handler runner gave ${results.length} results for ${calls.length} calls`);
  for (const result of results) if (!result.ok && store.isTransient(result.error)) throw result.error;
  return results;
}
