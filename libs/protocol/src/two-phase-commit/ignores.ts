/**
 * Inputs that a machine drops on purpose, each with the reason why dropping it is right. An input that neither has an
 * effect nor is listed here is an UnexpectedInputError.
 */

export const COORDINATOR_IGNORES = {
  'repeated-vote': 'the same vote is counted already; the transport delivers at least once',
  'late-vote': 'a decision is in the register or on its way there; no vote changes it',
  'undecided-inquiry': 'there is nothing to tell yet; the decision will be sent to every branch that may be prepared',
  'early-ack': 'it answers another owner of this shard; this one asks again once the register has spoken',
  'repeated-ack': 'the branch owes nothing any more',
  'repeated-one-phase-outcome': 'the participant repeats what it decided',
  'repeated-register': 'the register is write-once, so it only repeats itself',
  'late-timer': 'the timer fired while the step that cancelled it was under way',
  'late-cancel': 'a decision is in the register or on its way there; it cannot be taken back',
  'abort-already-asked': 'the one-phase participant has been asked to abort and decides alone',
  'resolve-while-deciding': 'only the register can say what would be resolved; resolve again once it has spoken',
  'nothing-to-retry': 'nothing is outstanding that this machine could send again',
  'already-finished': 'nothing is owed to anybody',
} as const;

export type CoordinatorIgnore = keyof typeof COORDINATOR_IGNORES;

export const PARTICIPANT_IGNORES = {
  'repeated-abort': 'the branch is aborted and nobody asked for an acknowledgement',
  'nothing-to-undo': 'a read-only branch has neither effects nor locks, and nobody asked for an acknowledgement',
  'peer-uncertain': 'an undecided peer decides nothing',
  'peer-agrees': 'the branch has applied the decision that the peer tells',
  'late-timer': 'the timer fired while the step that cancelled it was under way',
  'too-old-to-tell': 'rows of this age may be cleaned up, so a missing row proves nothing: neither work nor a refusal would be safe',
  'nothing-in-doubt': 'only a prepared branch waits for anything, so no timer is to be armed',
} as const;

export type ParticipantIgnore = keyof typeof PARTICIPANT_IGNORES;
