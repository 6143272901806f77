import { asksPeers, stepParticipant, type ParticipantInput, type ParticipantState, type ParticipantStep } from '#libs/protocol';
import type { SiteConfig } from '../site-config.js';
import { applies, voteFrom } from './handler-answers.js';
import { branchRow } from './rows.js';
import { ROW_ALONE, type Role, type Stepped } from './role.js';

/** A branch of two-phase commit. */
export function twoPhaseCommit(config: SiteConfig): Role<ParticipantState> {
  return {
    ...ROW_ALONE,
    name: '2pc',
    begin: (row) => (row === null ? { phase: 'none' } : { phase: 'stored', row: branchRow(row, '2pc') }),
    step: (state, input, nowMs) => stepped(stepParticipant(state, input as ParticipantInput, nowMs, config)),
    executed(state, result, nowMs) {
      const applying = state.phase === 'running' && applies(state.action);
      if (applying && !result.ok) return null;
      return stepped(stepParticipant(state, { kind: 'EXECUTED', vote: applying ? null : voteFrom(result) }, nowMs, config));
    },
    // Inquiry `attempt` is to come; if the one before the last went to the peers too, they have had their time to answer.
    isBlocked: (attempt) => attempt >= 2 && asksPeers(attempt - 2, config),
  };
}

function stepped({ state, ready: { records, messages, timers, run } }: ParticipantStep): Stepped<ParticipantState> {
  const row = records.at(-1)?.row;
  return { state, messages, timers, row: row ? { table: 'branches', row: { ...row, protocol: '2pc' } } : null, run: run ? { ...run, inputs: {} } : null };
}
