import type { BranchView, TransactionView } from '#libs/runtime';
import { ProblemException } from '#libs/service';
import type { TransactionActionBody } from '../http/requests.js';

/**
 * An action that makes no sense for this protocol (422) or in this state (409).
 * @throws ProblemException ACTION_NOT_AVAILABLE, ALREADY_FINISHED, ALREADY_DECIDED, NOT_DECIDED, DECISION_CONFLICT, UNKNOWN_STEP or
 * STEP_NOT_OUTSTANDING
 */
export function refuseMeaningless(view: TransactionView, body: TransactionActionBody): void {
  const { action } = body;
  if (action === 'skip-step' && view.protocol !== 'saga') throw new ProblemException(422, 'ACTION_NOT_AVAILABLE', `skip-step is an action of sagas; ${view.protocol} has no steps.`);
  for (const [field, belongsTo] of [['decision', 'resolve'], ['step', 'skip-step']] as const) {
    if (body[field] !== undefined && action !== belongsTo) throw new ProblemException(422, 'ACTION_NOT_AVAILABLE', `Only ${belongsTo} takes a ${field}.`, [{ path: field, message: `belongs to ${belongsTo}` }]);
  }
  if (view.finishedAtMs !== null) throw new ProblemException(409, 'ALREADY_FINISHED', `Transaction ${view.txid} is ${view.status} and finished: nothing is left to do.`);
  if (action === 'cancel' && view.decision !== null) throw tooLate(view);
  if (action === 'resolve') refuseResolve(view, body.decision);
  if (action === 'skip-step') refuseSkip(view, body.step!);
}

/** A decision is made: cancel has lost. */
export function tooLate(view: TransactionView): ProblemException {
  const instead = view.protocol === 'saga' ? ' retry-now sends again what is outstanding, skip-step and resolve end the waiting for it.' : '';
  return new ProblemException(409, 'ALREADY_DECIDED', `Transaction ${view.txid} is ${view.status} and its decision is ${view.decision}; a decision cannot be taken back.${instead}`);
}

function refuseResolve(view: TransactionView, decision: 'commit' | 'abort' | undefined): void {
  if (view.protocol === 'saga' && view.decision === null) throw new ProblemException(409, 'NOT_DECIDED', `Saga ${view.txid} is undecided: how it ends is for its decision to say. Cancel it first; then what its compensations leave outstanding can be skipped or resolved.`);
  refuseConflict(view, decision);
}

/** The register is write-once, and COMMIT may only enter it when all have voted yes. */
function refuseConflict(view: TransactionView, decision: 'commit' | 'abort' | undefined): void {
  if (decision === undefined) return;
  const possible = view.decision === 'COMMIT' ? 'commit' : 'abort';
  if (decision === possible) return;
  const why = view.decision === null ? 'is undecided, and not all participants have voted yes: it can only be resolved to abort' : `is ${view.status}, which cannot be taken back: it can only be resolved to ${possible}`;
  throw new ProblemException(409, 'DECISION_CONFLICT', `Transaction ${view.txid} ${why}.`, [{ path: 'decision', message: `must be ${possible}` }]);
}

/** What may be skipped: a retriable step once it is decided that the saga completes, a compensation once that it does not. */
function refuseSkip(view: TransactionView, id: string): void {
  const step = view.branches.find((branch) => branch.step?.id === id);
  if (step === undefined) {
    const ids = view.branches.map((branch) => branch.step?.id).join(', ');
    throw new ProblemException(422, 'UNKNOWN_STEP', `Saga ${view.txid} has no step ${JSON.stringify(id)}; it has ${ids}.`, [{ path: 'step', message: `must be one of ${ids}` }]);
  }
  if (view.decision === null) throw new ProblemException(409, 'NOT_DECIDED', `Saga ${view.txid} is undecided: before its decision no step has to be skipped. Cancel it to have it compensated.`);
  if (canSkip(view, step)) return;
  const what = view.decision === 'COMMIT' ? 'a retriable step that is not done yet' : 'a compensation that is not through yet';
  throw new ProblemException(409, 'STEP_NOT_OUTSTANDING', `Step ${JSON.stringify(id)} of saga ${view.txid} is ${step.state}; only ${what} can be skipped.`, [{ path: 'step', message: `is ${step.state}` }]);
}

function canSkip({ decision }: TransactionView, { state, step }: BranchView): boolean {
  if (decision === 'COMMIT') return step?.kind === 'retriable' && (state === 'waiting' || state === 'sent');
  // A step that is still `sent` or `done` here waits until those that depend on it are undone.
  return step?.kind === 'compensatable' && (state === 'compensating' || state === 'sent' || state === 'done');
}
