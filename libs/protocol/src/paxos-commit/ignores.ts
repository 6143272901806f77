/**
 * Inputs that a machine of Paxos Commit drops on purpose, each with the reason why dropping it is right. An input that neither has an
 * effect nor is listed here is an UnexpectedInputError.
 */

export const PAXOS_LEADER_IGNORES = {
  'other-ballot': 'it belongs to a ballot that this leader has left, or to another owner; whatever that ballot chose, the present one finds',
  'late-reply': 'the majority that this phase waited for is complete',
  'repeated-reply': 'this acceptor is counted already; the transport delivers at least once',
  'late-vote': 'the transaction is aborted, which is all that a NO can ask for',
  'undecided-inquiry': 'there is nothing to tell yet; the decision will be sent to every branch that may be prepared',
  'early-ack': 'another leader told the branch; this one asks again once it knows the decision itself',
  'repeated-ack': 'the branch owes nothing any more',
  'late-timer': 'the timer fired while the step that cancelled it was under way',
  'already-leading': 'a ballot is under way: it aborts where it still can, and tells the branches what it finds',
  'late-cancel': 'the transaction is decided; that cannot be taken back',
  'already-finished': 'nothing is owed to anybody',
} as const;

export type PaxosLeaderIgnore = keyof typeof PAXOS_LEADER_IGNORES;

export const ACCEPTOR_IGNORES = {
  'too-old-to-promise': 'rows of this age may be cleaned up, so a missing row proves nothing: what was promised or accepted is not known any more',
  'repeated-vote': 'this vote waits already for the others of its transaction',
  'ballot-passed': 'a greater ballot is promised; its leader decides, and the participant will hear or ask',
} as const;

export type AcceptorIgnore = keyof typeof ACCEPTOR_IGNORES;

export const PAXOS_PARTICIPANT_IGNORES = {
  'repeated-abort': 'the branch is aborted and nobody asked for an acknowledgement',
  'nothing-to-undo': 'a read-only branch has neither effects nor locks, and nobody asked for an acknowledgement',
  'decided-already': 'the branch has committed, so the acceptors have chosen; whoever does not know it yet learns it from them',
  'late-timer': 'the timer fired while the step that cancelled it was under way',
  'too-old-to-tell': 'rows of this age may be cleaned up, so a missing row proves nothing: neither work nor a refusal would be safe',
  'nothing-in-doubt': 'only a prepared branch waits for anything, so no timer is to be armed',
} as const;

export type PaxosParticipantIgnore = keyof typeof PAXOS_PARTICIPANT_IGNORES;
