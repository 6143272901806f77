import type { Ready } from '../machine.js';
import type { Decision, Json, Reason } from '../messages.js';
import type { Txid } from '../txid.js';
import type { SagaCoordinatorIgnore, SagaParticipantIgnore } from './ignores.js';
import type { SagaExecute, SagaInputs, SagaToCoordinator, SagaToParticipant } from './messages.js';

// ================================================================ definition

/**
 * compensatable   a later compensation undoes its effect in business terms
 * pivot           the go/no-go point: neither compensated nor repeated at will; once it has executed the saga goes forward only
 * retriable       comes after the decision and succeeds if it is repeated often enough
 */
export type SagaStepKind = 'compensatable' | 'pivot' | 'retriable';

/** EXECUTE (or COMPENSATE) is repeated after `firstMs`, then with exponential backoff up to `maxMs`, less jitter. */
export interface SagaRetry {
  /** How often EXECUTE is sent at most before the saga gives the step up. Retriable steps and compensations are never given up. */
  readonly maxAttempts: number;
  readonly firstMs: number;
  readonly maxMs: number;
}

export interface SagaStepSpec {
  /** Unique within the saga. */
  readonly id: string;
  readonly participant: string;
  readonly operation: string;
  readonly payload: Json;
  readonly kind: SagaStepKind;
  /** Ids of the steps that must be done before; absent: the step before this one in the list. */
  readonly after?: readonly string[];
  /** From the first EXECUTE of this owner to the answer. Used up: the saga aborts; for a retriable step it needs attention. */
  readonly timeoutMs: number;
  readonly retry: SagaRetry;
}

/** What a client asked for, immutable from then on. Durable (BEGIN) before any EXECUTE leaves. */
export interface SagaSpec {
  readonly txid: Txid;
  readonly protocol: 'saga';
  readonly steps: readonly SagaStepSpec[];
  readonly createdAtMs: number;
  /** A saga that is undecided then aborts with SAGA_TIMEOUT. Milliseconds since the epoch. */
  readonly deadlineMs: number;
  /** Compensations that are not all through this long after the decision need attention. */
  readonly compensationTimeoutMs: number;
  /** So does a message that was sent this often without success, where it is repeated for ever. */
  readonly attentionAfterAttempts: number;
  /** When the client wants its answer. The machine does the same for both; whoever answers reads it. */
  readonly waitFor: 'decided' | 'finished';
}

/** The saga's own reason codes; every other code is in ReasonCode or comes from a participant. */
export const SagaReasonCode = {
  /** A late EXECUTE met the COMPENSATE or CANCEL_STEP that had overtaken it. */
  COMPENSATED_BEFORE_EXECUTE: 'COMPENSATED_BEFORE_EXECUTE',
  /** A late EXECUTE met a step that has been executed and compensated. */
  ALREADY_COMPENSATED: 'ALREADY_COMPENSATED',
  STEP_TIMEOUT: 'STEP_TIMEOUT',
  RETRIES_EXHAUSTED: 'RETRIES_EXHAUSTED',
  SAGA_TIMEOUT: 'SAGA_TIMEOUT',
  COMPENSATION_OVERDUE: 'COMPENSATION_OVERDUE',
} as const;

// ================================================================ coordinator

export type SagaOutcome = 'completed' | 'compensated';

/**
 * waiting        not sent
 * sent           EXECUTE sent, answer unknown: it may have executed
 * done           executed
 * refused        the participant said NO, or promised never to execute it
 * compensating   COMPENSATE sent, answer unknown
 * compensated    undone, or known never to run
 * skipped        by an operator: counts as done after COMMIT, as compensated after ABORT
 */
export type SagaStepState = 'waiting' | 'sent' | 'done' | 'refused' | 'compensating' | 'compensated' | 'skipped';

export interface SagaProgress {
  readonly state: SagaStepState;
  /** What the step was sent with; null while waiting. */
  readonly inputs: SagaInputs | null;
  readonly result: Json | null;
  /** Of the refusal, or of the last failure. */
  readonly reason: Reason | null;
  /** Times that the message of the present direction (EXECUTE, CANCEL_STEP, COMPENSATE) was sent. */
  readonly attempts: number;
  /** When it was sent first by this owner. */
  readonly sinceMs: number | null;
}

/** What records tell of a step. */
export type SagaStepReport = Pick<SagaProgress, 'state' | 'result' | 'reason' | 'attempts'>;

export interface SagaAttention {
  readonly step: string;
  readonly why: Reason;
  readonly atMs: number;
}

/**
 * running        forward, undecided
 * cancelling     wants to abort, but the pivot may have executed: its participant is asked to refuse it or to say that it has
 * deciding       a DECIDE record is on its way to the register; only REGISTERED moves it on
 * completing     the register holds COMMIT; retriable steps outstanding
 * compensating   the register holds ABORT; compensations outstanding
 * finished       nothing is owed; may be forgotten
 */
export type SagaPhase = 'running' | 'cancelling' | 'deciding' | 'completing' | 'compensating' | 'finished';

export interface SagaCoordinatorState {
  readonly spec: SagaSpec;
  readonly phase: SagaPhase;
  /** In the order of `spec.steps`. */
  readonly steps: readonly SagaProgress[];
  /** Set once the register has spoken. */
  readonly outcome: SagaOutcome | null;
  /** Why it aborts, from the moment that it wants to. */
  readonly reason: Reason | null;
  readonly attention: SagaAttention | null;
  readonly decidedAtMs: number | null;
  readonly finishedAtMs: number | null;
}

/** A step's EXECUTE may leave from here on, so the step must be compensated if the saga aborts. */
export interface SagaSent {
  readonly step: string;
  readonly inputs: SagaInputs;
}

/** What a write-once register holds, whoever put it there. `steps` is what that owner knew of them, in the order of the spec. */
export interface SagaRegister {
  readonly decision: Decision;
  readonly reason: Reason | null;
  readonly steps: readonly SagaStepReport[];
  readonly atMs: number;
}

export type SagaRecord =
  | { readonly kind: 'BEGIN'; readonly spec: SagaSpec }
  | { readonly kind: 'SENT'; readonly txid: Txid } & SagaSent
  | { readonly kind: 'DECIDE'; readonly txid: Txid } & SagaRegister
  | { readonly kind: 'ATTENTION'; readonly txid: Txid } & SagaAttention
  | { readonly kind: 'SKIP'; readonly txid: Txid; readonly step: string; readonly reason: Reason; readonly atMs: number }
  | {
    readonly kind: 'END'; readonly txid: Txid; readonly outcome: SagaOutcome; readonly reason: Reason | null;
    /** Set when an operator ended it although something was outstanding. */
    readonly resolved: Reason | null;
    readonly steps: readonly SagaStepReport[]; readonly atMs: number;
  };

/**
 * True for records that the store refuses once the writing owner has been replaced. All but DECIDE COMMIT: COMMIT follows from what
 * has happened, which any owner may know; ABORT also from what has not been sent, which only the present owner knows.
 */
export function isFencedSagaRecord(record: SagaRecord): boolean {
  return record.kind !== 'DECIDE' || record.decision === 'ABORT';
}

/** `step:<id>`: the message outstanding for that step is due again, or its budget is used up. */
export type SagaTimer = 'deadline' | `step:${string}`;

export type SagaCoordinatorInput =
  /** @throws UnexpectedInputError for a definition in which checkSaga finds problems */
  | { readonly kind: 'START'; readonly spec: SagaSpec }
  | { readonly kind: 'MESSAGE'; readonly message: SagaToCoordinator }
  | { readonly kind: 'TIMER'; readonly timer: SagaTimer; readonly attempt: number }
  /** What the register holds after a DECIDE. The machine acts on this alone. */
  | { readonly kind: 'REGISTERED' } & SagaRegister
  | { readonly kind: 'CANCEL'; readonly reason: Reason }
  /** Operator: send again what is outstanding, now. */
  | { readonly kind: 'RETRY_NOW' }
  /** Operator, once decided: a retriable step counts as done, or a compensation as done, from here on. */
  | { readonly kind: 'SKIP_STEP'; readonly step: string; readonly reason: Reason }
  /** Operator, once decided: END although something is outstanding. */
  | { readonly kind: 'RESOLVE'; readonly reason: Reason }
  /** A new owner loaded the transaction: BEGIN is durable, and the others are what its records and the register hold. */
  | {
    readonly kind: 'RECOVER'; readonly spec: SagaSpec; readonly sent: readonly SagaSent[]; readonly skipped: readonly string[];
    readonly attention: SagaAttention | null; readonly register: SagaRegister | null;
  };

export interface SagaCoordinatorStep {
  readonly state: SagaCoordinatorState;
  readonly ready: Ready<SagaRecord, SagaToParticipant, SagaTimer>;
  /** The rule by which the input was dropped (state unchanged, nothing owed); absent when the input had an effect. */
  readonly ignored?: SagaCoordinatorIgnore;
}

// ================================================================ participant

/**
 * executed      the effect is there
 * refused       the handler said NO: no effect, and there never will be one
 * compensated   the effect was there and has been undone
 * cancelled     tombstone: COMPENSATE or CANCEL_STEP came before any EXECUTE had an effect, which is now refused
 */
export type SagaRowState = 'executed' | 'refused' | 'compensated' | 'cancelled';

/** The barrier row of one step. For a `cancelled` tombstone operation is '' and payload null. */
export interface SagaRow {
  readonly txid: Txid;
  readonly branch: number;
  readonly step: string;
  readonly stepKind: SagaStepKind;
  readonly state: SagaRowState;
  readonly operation: string;
  readonly payload: Json;
  /** Of a refusal. */
  readonly reason: Reason | null;
  /** What the execute handler returned. */
  readonly result: Json | null;
  readonly updatedAtMs: number;
}

export type SagaHandlerAction = 'execute' | 'compensate';

/** `failed` is transient: its local transaction is rolled back and the message comes again. A compensation cannot refuse: NO counts as failed. */
export type SagaHandlerAnswer =
  | { readonly said: 'done'; readonly result?: Json }
  | { readonly said: 'no' | 'failed'; readonly reason?: Reason };

/** A handler to run in the same local transaction as the row. `inputs` are {} and `result` is what execute returned for `compensate`. */
export interface SagaRun {
  readonly action: SagaHandlerAction;
  readonly operation: string;
  readonly payload: Json;
  readonly inputs: SagaInputs;
  readonly result: Json | null;
}

export interface SagaParticipantConfig {
  /**
   * How long after a transaction's creation its rows are kept at least. For older transactions a missing row proves nothing: nothing
   * is run and nothing answered, so that the saga comes to need attention. Absent: rows are never cleaned up.
   */
  readonly rowsKeptMs?: number;
}

export type SagaParticipantInput =
  | { readonly kind: 'MESSAGE'; readonly message: SagaToParticipant }
  /** The handler asked for by `ready.run` has run. */
  | { readonly kind: 'EXECUTED'; readonly answer: SagaHandlerAnswer };

/** Between EXECUTE (or COMPENSATE) and EXECUTED the step exists in memory only: a crash there forgets it, and the message comes again. */
export type SagaParticipantState =
  | { readonly phase: 'none' }
  | { readonly phase: 'running'; readonly action: 'execute'; readonly trigger: SagaExecute }
  | { readonly phase: 'running'; readonly action: 'compensate'; readonly row: SagaRow }
  | { readonly phase: 'stored'; readonly row: SagaRow };

export type SagaParticipantRecord = { readonly kind: 'STEP'; readonly row: SagaRow };

export interface SagaParticipantStep {
  readonly state: SagaParticipantState;
  readonly ready: Ready<SagaParticipantRecord, SagaToCoordinator, never> & {
    /** The handler to run before anything else; the next input is then EXECUTED. Records and messages are empty when set. */
    readonly run?: SagaRun;
  };
  readonly ignored?: SagaParticipantIgnore;
}
