import {
  compareElections, isFinal, stepThreePhaseParticipant,
  type ProtocolMessage, type SiteRow, type ThreePhaseParticipantInput, type ThreePhaseParticipantState, type ThreePhaseParticipantStep,
} from '#libs/protocol';
import type { SiteConfig } from '../site-config.js';
import { voteFrom } from './handler-answers.js';
import { branchRow } from './rows.js';
import { ROW_ALONE, type Memory, type Role, type Stepped } from './role.js';

/** A branch of three-phase commit. Its round is in memory, and counts only as long as the row is the one that the round has left behind. */
export function threePhaseCommit(config: SiteConfig): Role<ThreePhaseParticipantState> {
  return {
    ...ROW_ALONE,
    name: '3pc',
    belongs: (memory, row) => row !== null && memory.role === '3pc' && isSameSite(memory.site, branchRow(row, '3pc')),
    begin(row, memory) {
      if (row === null) return { phase: 'none' };
      const { round, seen } = memory?.role === '3pc' ? memory : { round: null, seen: 0 };
      return { phase: 'stored', row: branchRow(row, '3pc'), round, seen };
    },
    step: (state, input, nowMs) => stepped(stepThreePhaseParticipant(state, input as ThreePhaseParticipantInput, nowMs, config)),
    executed(state, result, nowMs) {
      const applying = state.phase === 'applying';
      if (applying && !result.ok) return null;
      return stepped(stepThreePhaseParticipant(state, { kind: 'EXECUTED', vote: applying ? null : voteFrom(result) }, nowMs, config));
    },
    memory(state): Memory | null {
      if (state.phase !== 'stored' || isFinal(state.row.state) || (state.round === null && state.seen === 0)) return null;
      const { row: { state: standing, lastElected, lastAttempt, reason }, round, seen } = state;
      return { role: '3pc', site: { state: standing, lastElected, lastAttempt, reason }, round, seen };
    },
    again: decisionFor,
    // The second election is under way or over: the first found no majority that would decide.
    isBlocked: (attempt) => attempt >= 2,
  };
}

/**
 * A majority of acknowledgements is a decision that only this round knows, and the round may be gone when the handler is repeated: then the
 * decision is told to the branch as the coordinator would tell it.
 */
function decisionFor(state: ThreePhaseParticipantState, message: ProtocolMessage): ProtocolMessage {
  if (state.phase !== 'applying' || message.kind === 'COMMIT' || message.kind === 'ABORT') return message;
  const { row: { txid, branch, peers }, verdict: { decision, reason } } = state;
  const about = { protocol: '3pc', txid, from: peers.length, to: branch } as const;
  return decision === 'COMMIT' ? { ...about, kind: 'COMMIT' } : { ...about, kind: 'ABORT', reason: reason ?? { code: 'NO_RECORD' } };
}

function isSameSite(one: SiteRow, other: SiteRow): boolean {
  return one.state === other.state && compareElections(one.lastElected, other.lastElected) === 0 && compareElections(one.lastAttempt, other.lastAttempt) === 0;
}

function stepped({ state, ready: { records, messages, timers, run } }: ThreePhaseParticipantStep): Stepped<ThreePhaseParticipantState> {
  const row = records.at(-1)?.row;
  return { state, messages, timers, row: row ? { table: 'branches', row: { ...row, protocol: '3pc' } } : null, run: run ? { ...run, inputs: {} } : null };
}
