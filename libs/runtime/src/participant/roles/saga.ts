import { stepSagaParticipant, type SagaParticipantInput, type SagaParticipantState, type SagaParticipantStep } from '#libs/protocol';
import type { SiteConfig } from '../site-config.js';
import { answerFrom } from './handler-answers.js';
import { branchRow } from './rows.js';
import { ROW_ALONE, type Role, type Stepped } from './role.js';

/** A step of a saga: the barrier in front of its two handlers. It waits for nothing, and its coordinator repeats what fails. */
export function saga({ rowsKeptMs }: SiteConfig): Role<SagaParticipantState> {
  const config = { ...(rowsKeptMs !== undefined && { rowsKeptMs }) };
  return {
    ...ROW_ALONE,
    name: 'saga',
    begin: (row) => (row === null ? { phase: 'none' } : { phase: 'stored', row: branchRow(row, 'saga') }),
    step: (state, input, nowMs) => stepped(stepSagaParticipant(state, input as SagaParticipantInput, nowMs, config)),
    executed(state, result, nowMs) {
      const action = state.phase === 'running' ? state.action : 'execute';
      return stepped(stepSagaParticipant(state, { kind: 'EXECUTED', answer: answerFrom(action, result) }, nowMs, config));
    },
  };
}

function stepped({ state, ready: { records, messages, timers, run } }: SagaParticipantStep): Stepped<SagaParticipantState> {
  const row = records.at(-1)?.row;
  return { state, messages, timers, row: row ? { table: 'branches', row: { ...row, protocol: 'saga' } } : null, run: run ?? null };
}
