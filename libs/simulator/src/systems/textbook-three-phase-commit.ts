/** Textbook three-phase commit as a system: to be seen splitting under a partition (../textbook/three-phase-commit.ts). */
import type { OutcomeStatus, VoteKind } from '#libs/protocol';
import { atomicLeftover, atomicViolation, type BranchFacts } from '../atomic.js';
import { role, type Message, type Role, type System, type View } from '../system.js';
import {
  stepTextbookBranch, stepTextbookCoordinator, type TextbookBranch, type TextbookCoordinator, type TextbookInput, type TextbookMessage, type TextbookState,
} from '../textbook/three-phase-commit.js';
import { effectOf, handlerVote, type Transaction } from './two-phase-commit.js';

/** How long anybody waits for the next message before a timeout decides. */
const PATIENCE_MS = 1000;

export function textbookThreePhaseCommit(transaction: Transaction): System {
  const { votes, txid } = transaction;
  const outcomeIn = (view: View, i: number): OutcomeStatus | null => outcomeOf((view.durables[i] as { readonly row: TextbookState } | null)?.row);
  const branchesOf = (view: View): BranchFacts[] => votes.map((_, i) => factsOf(view.durables[i + 1] as BranchRows | null));
  return {
    protocol: 'textbook-3pc', txid, nonBlocking: true,
    roles: [role(coordinatorRole(transaction)), ...votes.map((vote, i) => role(branchRole(i, vote)))],
    start: { role: 'coordinator', input: { kind: 'START' } satisfies TextbookInput },
    commands: [],
    expected: votes.includes('no') ? 'aborted' : 'committed',
    describe: (message) => describe(message as TextbookMessage),
    violation: (view) => atomicViolation({ branches: branchesOf(view), decisions: [outcomeIn(view, 0)], answers: view.answers }),
    ended(view, sites) {
      if (view.durables[0] !== null && outcomeIn(view, 0) === null && sites.has('coordinator')) return false;
      return votes.every((_, i) => !sites.has(`p${i}`) || view.durables[i + 1] === null || outcomeIn(view, i + 1) !== null);
    },
    leftover(view, sites) {
      const outcome = view.durables.map((_, i) => outcomeIn(view, i)).find((decided) => decided !== null) ?? null;
      return atomicLeftover(branchesOf(view).filter((_, i) => sites.has(`p${i}`)), outcome);
    },
  };
}

function outcomeOf(state: TextbookState | undefined): OutcomeStatus | null {
  return state === 'committed' || state === 'aborted' ? state : null;
}

// ---------------------------------------------------------------- roles

interface CoordinatorRows { readonly row: TextbookCoordinator['state'] }

function coordinatorRole({ votes, createdAtMs, timeoutMs }: Transaction): Role<TextbookCoordinator, TextbookInput, CoordinatorRows, CoordinatorRows> {
  return {
    name: 'coordinator',
    site: 'coordinator',
    boot: (rows) => (rows === null || outcomeOf(rows.row) !== null
      ? { state: null, input: null }
      : { state: { state: rows.row, heard: votes.map(() => false) }, input: { kind: 'RECOVER' } }),
    step(state, input, { nowMs }) {
      const decideAtMs = state === null ? Math.max(createdAtMs + timeoutMs, nowMs) : nowMs + PATIENCE_MS;
      const { state: next, changed, messages, timers } = stepTextbookCoordinator(state, input, votes.length, decideAtMs);
      return { state: next, records: changed ? [{ row: next!.state }] : [], messages: messages.map((message) => ({ to: `participant ${message.branch}`, message })), timers };
    },
    write: (rows, record, fenced) => (fenced || (record.row === 'waiting') !== (rows === null) ? 'refused' : { durable: record }),
    answer: (state) => outcomeOf(state?.state),
    read: (rows) => outcomeOf(rows?.row),
    label: (state) => state?.state ?? 'not loaded',
    recordText: ({ row }) => row,
  };
}

interface BranchRows {
  readonly row: TextbookBranch['state'] | null;
  readonly readOnly: boolean;
  readonly held: number;
  readonly applied: number;
}

function branchRole(index: number, planned: VoteKind): Role<TextbookBranch, TextbookInput, BranchRows, BranchRows> {
  return {
    name: `participant ${index}`,
    site: `p${index}`,
    boot: (rows) => (rows?.row ? { state: { state: rows.row, readOnly: rows.readOnly }, input: { kind: 'RECOVER' } } : { state: null, input: null }),
    step(state, input, around) {
      const { state: next, changed, messages, timers } = stepTextbookBranch(state, input, index, around.nowMs + PATIENCE_MS, () => handlerVote('prepare', planned, around)!);
      const { held, applied, stock } = changed ? effectBetween(state, next!) : NOTHING;
      const sent = messages.map((message) => ({ to: 'coordinator', message }));
      return { state: next, records: changed ? [{ row: next!.state, readOnly: next!.readOnly, held, applied }] : [], messages: sent, timers, stock };
    },
    write: (rows, { row, readOnly, held, applied }) => ({ durable: { row, readOnly, held: (rows?.held ?? 0) + held, applied: (rows?.applied ?? 0) + applied } }),
    label: (state) => state?.state ?? 'no branch',
    recordText: ({ row }) => row ?? 'effect',
  };
}

const NOTHING = { held: 0, applied: 0, stock: 0 };

/** The handler that this change of state stands for. */
function effectBetween(before: TextbookBranch | null, after: TextbookBranch): typeof NOTHING {
  if (after.readOnly) return NOTHING;
  if (before === null) return (after.state === 'prepared' && effectOf('prepare', { vote: 'yes' })) || NOTHING;
  if (after.state === 'pre-committed') return NOTHING;
  return effectOf(after.state === 'committed' ? 'commit' : 'abort', null) ?? NOTHING;
}

function factsOf(rows: BranchRows | null): BranchFacts {
  const vote = rows === null || rows.row === null ? null : rows.row === 'aborted' ? 'no' : rows.readOnly ? 'read-only' : 'yes';
  return { vote, decided: outcomeOf(rows?.row ?? undefined), held: rows?.held ?? 0, applied: rows?.applied ?? 0 };
}

function describe({ kind, vote }: TextbookMessage & Message): string {
  return kind === 'VOTE' ? `VOTE ${vote}` : kind;
}
