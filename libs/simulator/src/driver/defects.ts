/**
 * Deliberate breaks of what the drivers rely on, to show that a run finds them.
 * register-overwritten       the decision register takes every decision: the last one wins
 * epoch-ignored              flushes of an owner whose epoch is over are written
 * keys-not-unique            an idempotency key can begin any number of transactions
 * presumed-without-register  an inquiry about a forgotten transaction is answered ABORT, and nothing is written down
 * begin-told-early           BEGIN is called durable 20 ms before it is
 * row-told-early             a participant's local transaction is called durable 20 ms before it is, so votes leave first
 * promises-lost              acceptors of paxos-commit and sites of 3pc store their rows, but not which ballot or election they have promised to follow
 * branch-not-locked          a participant's local transactions neither lock rows nor notice rows that were inserted meanwhile
 * guess-not-verified         a participant's local transactions take every guess at what rows there are for right
 */
export type DriverDefect = (typeof DRIVER_DEFECTS)[number];

export const DRIVER_DEFECTS = [
  'register-overwritten', 'epoch-ignored', 'keys-not-unique', 'presumed-without-register', 'begin-told-early', 'row-told-early', 'branch-not-locked', 'promises-lost',
  'guess-not-verified',
] as const;
