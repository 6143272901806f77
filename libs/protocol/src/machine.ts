import type { Address, Envelope } from './messages.js';

/** Sets (replacing one of the same name) or cancels a timer of this transaction or branch. */
export type TimerChange<Name extends string> =
  | { readonly set: Name; readonly atMs: number; /** Counts firings, for backoff; handed back with the timer. */ readonly attempt: number }
  | { readonly cancel: Name };

/**
 * What a step owes the world, in this order: `records` are durable before any of `messages` leaves, and before
 * `outcome` is told to anybody; `timers` change last. After etcd-io/raft's `Ready`.
 */
export interface Ready<Record, Outgoing, Timer extends string, To = Address> {
  readonly records: readonly Record[];
  readonly messages: readonly Envelope<Outgoing, To>[];
  readonly timers: readonly TimerChange<Timer>[];
}

/** Of most steps: one object for all of them. */
export const NOTHING_OWED: Ready<never, never, never, never> = { records: [], messages: [], timers: [] };

/** An input that no rule of the machine covers. It is a defect of the sender or of the machine, never ignored silently. */
export class UnexpectedInputError extends Error {
  readonly code = 'UNEXPECTED_INPUT';
  constructor(readonly machine: string, readonly state: string, readonly input: string) {
    super(`${machine}: no rule for input ${input} in state ${state}`);
    this.name = 'UnexpectedInputError';
  }
}
