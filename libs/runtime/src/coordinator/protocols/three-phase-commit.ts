import {
  isFinal, stepThreePhaseCoordinator, type BranchProgress, type SiteRow, type SiteState, type ThreePhaseCoordinatorConfig, type ThreePhaseCoordinatorInput,
  type ThreePhaseCoordinatorRecord, type ThreePhaseCoordinatorState, type ToThreePhaseCoordinator, type TransactionSpec,
} from '#libs/protocol';
import type { StoredTransaction, UnfinishedTransaction } from '../../ports.js';
import { asJson, BEGIN, NOTHING_OWED, withRows, type DurableRecord, type Protocol } from './protocol.js';

/** The `data` of STATE: the coordinator's site row, and what it knows of the branches. */
interface StateData {
  readonly site: SiteRow;
  readonly branches: readonly BranchProgress[];
}

type Recover = Extract<ThreePhaseCoordinatorInput, { kind: 'RECOVER' }>;

/** Late repetitions that a row has nothing to say about; everything else is compared with it, or answered. */
const NEEDS_NO_ROW: ReadonlySet<string> = new Set(['VOTE', 'ACK', 'REFUSED']);

/** BEGIN (the initial site row is implied), STATE at each change of the site's row, DECIDE instead of the final one, END. */
export function threePhaseCommit(config: ThreePhaseCoordinatorConfig): Protocol<ThreePhaseCoordinatorState> {
  return {
    name: '3pc',
    decidedBy: 'site',
    hearsBegun: true,
    takes: new Set(['VOTE', 'ACK', 'STATE_REQUEST', 'PRE_COMMIT', 'PRE_ABORT', 'COMMIT', 'ABORT', 'STATE_REPLY', 'PRE_ACK', 'REFUSED']),
    start: ({ spec }, nowMs) => withRows(stepThreePhaseCoordinator(null, { kind: 'START', spec: spec as TransactionSpec }, nowMs, config), rowsOf),
    recover: (unfinished, nowMs) => withRows(stepThreePhaseCoordinator(null, recovery(unfinished), nowMs, config), rowsOf),
    step(state, input, nowMs) {
      if (input.kind === 'SKIP_STEP') return { state, ready: NOTHING_OWED, ignored: 'no-steps' };
      return withRows(stepThreePhaseCoordinator(state, input as ThreePhaseCoordinatorInput, nowMs, config), rowsOf);
    },
    isDecided: ({ site }) => isFinal(site.state),
    facts: ({ site, branches, decidedAtMs, finishedAtMs }) => ({
      decision: decisionOf(site.state), reason: site.state === 'aborted' ? site.reason : null, reports: branches, decidedAtMs, finishedAtMs, attention: null,
    }),
    whenEnded: ({ kind }) => (NEEDS_NO_ROW.has(kind) ? 'drop' : 'look-up'),
    answerEnded(stored, message, nowMs) {
      const { state } = stepThreePhaseCoordinator(null, endedRow(stored), nowMs, config);
      return stepThreePhaseCoordinator(state, { kind: 'MESSAGE', message: message as ToThreePhaseCoordinator }, nowMs, config).ready.messages;
    },
  };
}

/** What STATE says, or null when only BEGIN was written. */
export function stateOf({ progress }: Pick<UnfinishedTransaction, 'progress'>): StateData | null {
  const row = progress.find(({ kind }) => kind === 'STATE');
  return row === undefined ? null : row.data as unknown as StateData;
}

/** DECIDE stands above the STATE before it. A site that has decided tells its decision; the elections that led to it interest nobody. */
function recovery(unfinished: UnfinishedTransaction): Recover {
  const { begin, register } = unfinished;
  const spec = begin.spec as TransactionSpec;
  if (register !== null) {
    const site = { ...siteRow(spec, register.decision === 'COMMIT' ? 'committed' : 'aborted'), reason: register.reason };
    return { kind: 'RECOVER', spec, site, branches: register.branches as readonly BranchProgress[], decidedAtMs: register.atMs, finished: false };
  }
  const data = stateOf(unfinished);
  return { kind: 'RECOVER', spec, site: data?.site ?? siteRow(spec, 'waiting'), branches: data?.branches ?? [], decidedAtMs: null, finished: false };
}

/** END has taken the STATE row along. */
function endedRow({ begin, end }: StoredTransaction): Recover {
  const spec = begin.spec as TransactionSpec;
  const site = { ...siteRow(spec, end!.outcome === 'committed' ? 'committed' : 'aborted'), reason: end!.reason };
  return { kind: 'RECOVER', spec, site, branches: end!.branches as readonly BranchProgress[], decidedAtMs: end!.atMs, finished: true };
}

function siteRow({ branches }: TransactionSpec, state: SiteState): SiteRow {
  return { state, lastElected: { n: 1, site: branches.length }, lastAttempt: { n: 0, site: -1 }, reason: null };
}

function decisionOf(state: SiteState): 'COMMIT' | 'ABORT' | null {
  if (!isFinal(state)) return null;
  return state === 'committed' ? 'COMMIT' : 'ABORT';
}

function rowsOf(record: ThreePhaseCoordinatorRecord, { site: { state, reason } }: ThreePhaseCoordinatorState): readonly DurableRecord[] {
  switch (record.kind) {
    case 'BEGIN':
      return [BEGIN];
    case 'STATE':
      return [stateRow(record)];
    case 'END': {
      const { txid, branches, atMs } = record;
      if (!isFinal(state)) throw new Error(`transaction ${txid} cannot end undecided`);
      return [{ to: 'end', name: 'END', detail: state, row: { txid, outcome: state, reason: state === 'aborted' ? reason : null, resolved: null, branches, atMs } }];
    }
  }
}

function stateRow({ txid, site, branches, atMs }: Extract<ThreePhaseCoordinatorRecord, { kind: 'STATE' }>): DurableRecord {
  const named = { name: 'STATE', detail: siteText(site) };
  const decision = decisionOf(site.state);
  if (decision === null) return { to: 'progress', ...named, row: { txid, kind: 'STATE', key: '', data: asJson({ site, branches }) } };
  return { to: 'decide', as: 'site', ...named, row: { txid, decision, reason: decision === 'COMMIT' ? null : site.reason, branches, atMs } };
}

/** `waiting, promised (2, 0)`, `pre-committed (1, 3)`, `aborted OUT_OF_STOCK`. */
function siteText({ state, lastElected, lastAttempt, reason }: SiteRow): string {
  if (isFinal(state)) return state === 'aborted' && reason !== null ? `${state} ${reason.code}` : state;
  const attempted = lastAttempt.n === 0 ? state : `${state} (${lastAttempt.n}, ${lastAttempt.site})`;
  const promised = lastElected.n > 1 && (lastElected.n !== lastAttempt.n || lastElected.site !== lastAttempt.site);
  return promised ? `${attempted}, promised (${lastElected.n}, ${lastElected.site})` : attempted;
}
