/**
 * Inputs that a saga's machines drop on purpose, each with the reason why dropping it is right. An input that neither has an effect
 * nor is listed here is an UnexpectedInputError.
 */

export const SAGA_COORDINATOR_IGNORES = {
  'another-owners-step': 'another owner of this shard sent it, so this one has been replaced: it can neither record nor abort anything any more',
  'another-owners-compensation': 'another owner of this shard compensates, so the register holds ABORT, and will say so when this one proposes anything',
  'compensated-meanwhile': 'done here and refused now: another owner has compensated the step, and the register holds ABORT',
  'settled-answer': 'the step is settled here; the transport delivers at least once',
  'late-answer': 'it answers an EXECUTE or CANCEL_STEP of the time before the decision, which it cannot change',
  'late-timer': 'the timer fired while the step that cancelled it was under way',
  'late-cancel': 'the saga is on its way back already, or decided',
  'repeated-register': 'the register is write-once, so it only repeats itself',
  'skip-before-decision': 'only retriable steps and compensations can be skipped, and none is due before the decision',
  'nothing-to-skip': 'the step is settled, or must not be skipped: what COMMIT rests on has executed, what was never sent has no effect',
  'resolve-before-decision': 'how it ends is for the register to say: cancel it first',
  'nothing-to-retry': 'nothing is outstanding that this machine could send again',
  'already-finished': 'nothing is owed to anybody',
} as const;

export type SagaCoordinatorIgnore = keyof typeof SAGA_COORDINATOR_IGNORES;

export const SAGA_PARTICIPANT_IGNORES = {
  'too-old-to-tell': 'rows of this age may be cleaned up, so a missing row proves nothing: neither the action nor a tombstone would be safe',
} as const;

export type SagaParticipantIgnore = keyof typeof SAGA_PARTICIPANT_IGNORES;
