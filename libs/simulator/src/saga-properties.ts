/** What must hold of a saga, over what is durable and what clients heard (libs/protocol/src/saga/coordinator.ts has the definitions in prose). */
import type { Decision, OutcomeStatus, SagaOutcome, SagaRowState, SagaStepKind } from '#libs/protocol';

export interface SagaStepFacts {
  readonly kind: SagaStepKind;
  /** Places of all steps that it depends on, directly or not. */
  readonly ancestors: readonly number[];
  /** null: no row. */
  readonly row: SagaRowState | null;
  /** Effects that are there, 0 or 1. */
  readonly applied: number;
  /** How often the execute handler had its effect, and the compensate handler. */
  readonly executions: number;
  readonly compensations: number;
  /** An operator's SKIP is durable. */
  readonly skipped: boolean;
}

export interface SagaFacts {
  readonly steps: readonly SagaStepFacts[];
  readonly register: Decision | null;
  readonly ended: SagaOutcome | null;
  /** An operator ended it: what was outstanding is exempt. */
  readonly resolved: boolean;
  readonly answers: readonly OutcomeStatus[];
}

/** The first property that does not hold at this moment, its name first; null when all hold. */
export function sagaViolation(facts: SagaFacts): string | null {
  return outcomeViolation(facts) ?? effectViolation(facts) ?? orderViolation(facts) ?? decisionViolation(facts) ?? endViolation(facts);
}

/** Never both completed and compensated, whoever says so. */
function outcomeViolation({ register, ended, answers }: SagaFacts): string | null {
  const completed = register === 'COMMIT' || ended === 'completed' || answers.includes('committed');
  const compensated = register === 'ABORT' || ended === 'compensated' || answers.includes('aborted');
  return completed && compensated ? 'OUTCOME: both completed and compensated are told' : null;
}

/** Single effects, and none once the row says that there is none. */
function effectViolation({ steps }: SagaFacts): string | null {
  for (const [i, { row, applied, executions, compensations }] of steps.entries()) {
    if (applied < 0 || applied > 1 || executions > 1 || compensations > 1) {
      return `EFFECTS: step ${i} has ${applied} effects after ${executions} executions and ${compensations} compensations`;
    }
    if (applied !== 0 && row !== null && row !== 'executed') return `BARRIER: step ${i} has an effect although it is ${row}`;
  }
  return null;
}

/** Forward in the order of the graph, backward in the reverse one. */
function orderViolation({ steps }: SagaFacts): string | null {
  for (const [i, { ancestors, executions, applied, skipped }] of steps.entries()) {
    for (const j of ancestors) {
      const before = steps[j]!;
      if (executions > 0 && before.executions === 0 && !before.skipped) return `ORDER: step ${i} has executed before step ${j}, on which it depends`;
      const undone = before.row === 'compensated' || before.row === 'cancelled';
      if (undone && applied > 0 && !skipped) return `ORDER: step ${j} is ${before.row} while step ${i}, which depends on it, has an effect`;
    }
  }
  return null;
}

/** What the register allows, and what it promises. */
function decisionViolation({ steps, register }: SagaFacts): string | null {
  for (const [i, { kind, row, executions, applied }] of steps.entries()) {
    if (kind === 'retriable') {
      if (executions > 0 && register !== 'COMMIT') return `DECISION: retriable step ${i} has executed, and the register does not hold COMMIT`;
      continue;
    }
    if (kind === 'pivot' && executions > 0 && register === 'ABORT') return 'DECISION: the pivot has executed, and the register holds ABORT';
    if (kind === 'compensatable' && (row === 'compensated' || row === 'cancelled') && register !== 'ABORT') {
      return `DECISION: step ${i} is ${row}, and the register does not hold ABORT`;
    }
    if (register === 'COMMIT' && applied !== 1) return `DECISION: the register holds COMMIT, and ${kind} step ${i} has no effect`;
  }
  return null;
}

/** Once END is durable nothing changes any more, so this holds at once and for good. */
function endViolation({ steps, ended, resolved }: SagaFacts): string | null {
  if (ended === null) return null;
  const due = ended === 'completed' ? 1 : 0;
  const open = ended === 'completed' ? 'retriable' : 'compensatable';
  for (const [i, { kind, applied, skipped }] of steps.entries()) {
    const exempt = kind === open && (skipped || resolved);
    if (applied !== due && !exempt) return `END: ${ended}, and step ${i} has ${applied} effects`;
  }
  return null;
}
