/** What coordinator and participants of a saga say to each other. */
import type { Json, Reason } from '../messages.js';
import type { Txid } from '../txid.js';
import type { SagaHandlerAction, SagaStepKind } from './types.js';

/** Results of the earlier steps that a step depends on, directly or not, by step id. */
export type SagaInputs = { readonly [step: string]: Json };

interface About {
  readonly protocol: 'saga';
  readonly txid: Txid;
  /** The step's place in the definition: names the row, as in the other protocols. */
  readonly branch: number;
  /** The step's id in the definition. */
  readonly step: string;
}

// ---------------------------------------------------------------- coordinator -> participant

export interface SagaExecute extends About {
  readonly kind: 'EXECUTE';
  readonly stepKind: SagaStepKind;
  readonly operation: string;
  readonly payload: Json;
  readonly inputs: SagaInputs;
}

/** Undo the step, or see to it that it is never executed. Compensatable steps only. */
export interface SagaCompensate extends About {
  readonly kind: 'COMPENSATE';
  readonly reason: Reason;
}

/** Refuse the step if it has not executed, else say that it has. Pivot only. */
export interface SagaCancelStep extends About {
  readonly kind: 'CANCEL_STEP';
  readonly reason: Reason;
}

// ---------------------------------------------------------------- participant -> coordinator

export interface SagaExecuted extends About {
  readonly kind: 'EXECUTED';
  readonly result: Json | null;
}

/** A business NO, durable at the participant: the step has no effect and never will. */
export interface SagaRefused extends About {
  readonly kind: 'REFUSED';
  readonly reason: Reason;
}

/** A transient failure; nothing is durable. */
export interface SagaFailed extends About {
  readonly kind: 'FAILED';
  readonly action: SagaHandlerAction;
  readonly reason: Reason;
}

/** The step has no effect any more and never will. */
export interface SagaCompensated extends About {
  readonly kind: 'COMPENSATED';
}

/** The pivot has not executed and never will. */
export interface SagaCancelled extends About {
  readonly kind: 'CANCELLED';
}

export type SagaToParticipant = SagaExecute | SagaCompensate | SagaCancelStep;
export type SagaToCoordinator = SagaExecuted | SagaRefused | SagaFailed | SagaCompensated | SagaCancelled;
export type SagaMessage = SagaToParticipant | SagaToCoordinator;
