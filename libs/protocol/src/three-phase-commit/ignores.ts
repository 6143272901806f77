/**
 * Inputs that a machine drops on purpose, each with the reason why dropping it is right. An input that neither has an
 * effect nor is listed here is an UnexpectedInputError.
 */

/** Both machines: what is addressed to a site as such. */
const SITE_IGNORES = {
  'late-reply': 'it answers a round that this site has given up, or whose question has been settled',
  'repeated-reply': 'the site has answered this round already; the transport delivers at least once',
  'repeated-decision': 'the decision is recorded here, and nobody asked for an acknowledgement',
  'late-timer': 'the timer fired while the step that cancelled it was under way',
} as const;

export const COORDINATOR_IGNORES = {
  ...SITE_IGNORES,
  'repeated-vote': 'the same vote is counted already; the transport delivers at least once',
  'late-vote': 'votes are no longer counted; what was attempted or decided is not changed by one',
  'begun-elsewhere': 'nothing has left this owner yet, so another one began the transaction and the BEGIN of this one is about to be refused',
  'early-ack': 'it answers another owner of this shard; this one asks again once it knows the decision',
  'repeated-ack': 'the branch owes nothing any more',
  'abort-already-asked': 'it aborts as soon as it has begun',
  'late-cancel': 'an attempt to commit may have reached a majority; it cannot be taken back',
  'resolve-undecided': 'after an attempt to commit only a majority can decide, not an operator; RETRY_NOW asks it',
  'nothing-to-retry': 'nothing is outstanding that this machine could send again',
  'already-finished': 'nothing is owed to anybody',
} as const;

export type CoordinatorIgnore = keyof typeof COORDINATOR_IGNORES;

export const PARTICIPANT_IGNORES = {
  ...SITE_IGNORES,
  'too-old-to-tell': 'rows of this age may be cleaned up, so a missing row proves nothing: neither work nor a refusal would be safe',
  'nothing-in-doubt': 'only an undecided branch waits for anything, so no timer is to be armed',
} as const;

export type ParticipantIgnore = keyof typeof PARTICIPANT_IGNORES;
export type SiteIgnore = keyof typeof SITE_IGNORES;
