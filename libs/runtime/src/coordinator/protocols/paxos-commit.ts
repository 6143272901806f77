import {
  stepPaxosLeader, type Ballot, type PaxosGroup, type PaxosInquiry, type PaxosLeaderConfig, type PaxosLeaderInput, type PaxosLeaderRecord, type PaxosLeaderState,
  type PaxosLeaderStep, type TransactionSpec,
} from '#libs/protocol';
import type { BeginRow, PaxosBranchReport, RegisterEntry, StoredTransaction, UnfinishedTransaction } from '../../ports.js';
import { asJson, BEGIN, decisionText, NOTHING_OWED, type DurableRecord, type Facts, type Protocol, type Stepped } from './protocol.js';

/** Ids that one tenure of a shard leaves for leaders on participants' sites, which are numbered from 1 by branch. */
const LEADERS_PER_TENURE = 16_384;

/** The leader, and what the driver remembers beside it. */
interface PaxosState {
  readonly leader: PaxosLeaderState;
  /** An earlier owner's note of the decision, which this one has yet to hear from the acceptors. Readers have seen it, so it stands. */
  readonly noted: RegisterEntry | null;
  readonly finishedAtMs: number | null;
}

/**
 * BEGIN, LEAD before each ballot of its own, END; and a note of the decision for readers, for which nothing waits. The decision is the
 * acceptors': it is told, and sent, without a write here, also while the coordinator's database is away.
 */
export function paxosCommit(config: Pick<PaxosLeaderConfig, 'resendAfterMs' | 'maxResendIntervalMs'>): Protocol<PaxosState> {
  // Made for each step, and all of the driver's options come here: so only what a leader knows of is taken.
  const { resendAfterMs, maxResendIntervalMs } = config;
  const configOf = (epoch: number): PaxosLeaderConfig => ({
    resendAfterMs, maxResendIntervalMs, leader: epoch * LEADERS_PER_TENURE, address: { role: 'coordinator' }, staggerMs: 0, mostRepeats: Number.POSITIVE_INFINITY,
  });
  return {
    name: 'paxos-commit',
    decidedBy: 'acceptors',
    hearsBegun: false,
    takes: new Set(['PHASE_1B', 'PHASE_2B', 'REFUSED', 'VOTE', 'ACK', 'INQUIRY']),
    start: ({ spec, acceptors }, nowMs, epoch) => (
      stepped(null, stepPaxosLeader(null, { kind: 'START', spec: spec as TransactionSpec, acceptors }, nowMs, configOf(epoch)), nowMs)
    ),
    recover(unfinished, nowMs, epoch) {
      const { begin, register: noted } = unfinished;
      const input: PaxosLeaderInput = { kind: 'RECOVER', group: groupOf(begin), spec: begin.spec as TransactionSpec, ballot: ballotOf(unfinished) };
      return stepped(noted, stepPaxosLeader(null, input, nowMs, configOf(epoch)), nowMs);
    },
    step(state, input, nowMs, epoch) {
      if (input.kind === 'SKIP_STEP') return { state, ready: NOTHING_OWED, ignored: 'no-steps' };
      const next = stepPaxosLeader(state.leader, input as PaxosLeaderInput, nowMs, configOf(epoch));
      return next.ignored === undefined ? stepped(state.noted, next, nowMs, state.leader) : { state, ready: NOTHING_OWED, ignored: next.ignored };
    },
    isDecided: ({ leader, noted }) => leader.outcome !== null || noted !== null,
    facts,
    // Nothing is presumed: that END is missing says nothing about what the acceptors have chosen.
    whenEnded: ({ kind }) => (kind === 'INQUIRY' ? 'look-up' : 'drop'),
    answerEnded: (stored, message) => [answerInquiry(stored, message as PaxosInquiry)],
  };
}

function stepped(noted: RegisterEntry | null, { state, ready }: PaxosLeaderStep, nowMs: number, before: PaxosLeaderState | null = null): Stepped<PaxosState> {
  const { records, messages, timers } = ready;
  const rows = records.map(rowOf);
  if (state.outcome !== null && (before === null || before.outcome === null)) rows.unshift(noteOf(state, noted));
  return { state: { leader: state, noted, finishedAtMs: state.phase === 'finished' ? nowMs : null }, ready: { records: rows, messages, timers } };
}

function facts({ leader: { outcome, reason, branches, decidedAtMs }, noted, finishedAtMs }: PaxosState): Facts {
  if (outcome === null && noted !== null) return { ...noted, reports: noted.branches, decidedAtMs: noted.atMs, finishedAtMs, attention: null };
  return {
    decision: outcome === null ? null : outcome === 'committed' ? 'COMMIT' : 'ABORT', reason: outcome === 'aborted' ? reason : null, reports: branches,
    decidedAtMs: noted?.atMs ?? decidedAtMs, finishedAtMs, attention: null,
  };
}

// ---------------------------------------------------------------- rows

/** LEAD's `data` is the ballot. */
function rowOf(record: PaxosLeaderRecord): DurableRecord {
  switch (record.kind) {
    case 'BEGIN':
      return BEGIN;
    case 'LEAD': {
      const { group: { txid }, ballot } = record;
      return { to: 'progress', name: 'LEAD', detail: `ballot (${ballot.n}, ${ballot.leader})`, row: { txid, kind: 'LEAD', key: '', data: asJson(ballot) } };
    }
    case 'END':
      return { to: 'end', name: 'END', detail: record.outcome, row: { ...record, resolved: null } };
  }
}

/** Throws when the acceptors contradict what an earlier owner has heard from them. */
function noteOf({ group: { txid }, outcome, reason, branches, decidedAtMs }: PaxosLeaderState, noted: RegisterEntry | null): DurableRecord {
  const decision = outcome === 'committed' ? 'COMMIT' : 'ABORT';
  if (noted !== null && noted.decision !== decision) throw new Error(`the acceptors say ${decision} of ${txid}, and an earlier note says ${noted.decision}`);
  return {
    to: 'decide', as: 'note', name: 'DECIDE', detail: decisionText({ decision, reason }),
    row: { txid, decision, reason, branches: branches satisfies readonly PaxosBranchReport[], atMs: decidedAtMs! },
  };
}

function groupOf({ spec, acceptors }: BeginRow): PaxosGroup {
  return { txid: spec.txid, peers: (spec as TransactionSpec).branches.map(({ participant }) => participant), acceptors };
}

function ballotOf({ progress }: UnfinishedTransaction): Ballot | null {
  const row = progress.find(({ kind }) => kind === 'LEAD');
  return row === undefined ? null : row.data as unknown as Ballot;
}

function answerInquiry({ begin, end }: StoredTransaction, { txid, branch, participant }: PaxosInquiry): ReturnType<Protocol['answerEnded']>[number] {
  const expected = (begin.spec as TransactionSpec).branches[branch]?.participant;
  if (participant !== expected) throw new Error(`INQUIRY of ${participant} about a branch of ${expected ?? 'nobody'}`);
  const about = { protocol: 'paxos-commit', txid, branch } as const;
  const to = { role: 'participant', name: participant } as const;
  if (end!.outcome === 'committed') return { to, message: { ...about, kind: 'COMMIT' } };
  return { to, message: { ...about, kind: 'ABORT', reason: end!.reason ?? { code: 'REFUSED' } } };
}
