/** What one failure-free commit costs, counted as Gray and Lamport count it, and beside it what their count leaves out. */
import type { System } from '../system.js';
import { runWithoutFailures } from './failure-free.js';
import type { Layout } from './layout.js';

/** The three figures of the paper. */
export interface Cost {
  /** Between nodes, sent before the last participant has learned the outcome. */
  readonly messages: number;
  /** From the client's request until the last participant has learned the outcome. */
  readonly delays: number;
  /** Flushes before anybody is told the outcome, without the request's own. */
  readonly writes: number;
}

export interface MeasuredCost extends Cost {
  /** ACKs and the like: sent once all participants know. */
  readonly messagesAfter: number;
  /** The flush that makes the request itself durable: it buys recovery and idempotency. */
  readonly writesOfRequest: number;
  /** The participants' own commits and the end of the transaction. */
  readonly writesAfter: number;
  /** Until the client has its answer. */
  readonly delaysToAnswer: number;
}

export function measureCost(system: System, layout: Layout): MeasuredCost {
  const { messages, writes, appliedAtDelay, answer } = runWithoutFailures(system, layout);
  const participants = system.roles.filter(({ name }) => name.startsWith('participant ')).length;
  if (appliedAtDelay.size !== participants || answer === null) {
    throw new Error(`${system.protocol}: only ${appliedAtDelay.size} of ${participants} participants learned the outcome`);
  }
  const delays = Math.max(...appliedAtDelay.values());
  const before = messages.filter(({ atDelay }) => atDelay < delays).length;
  const writesOfRequest = writes.filter(({ ofRequest }) => ofRequest).length;
  const awaited = writes.filter(({ ofRequest, position }) => !ofRequest && position < answer.position).length;
  return {
    messages: before, messagesAfter: messages.length - before, delays, delaysToAnswer: answer.atDelay,
    writes: awaited, writesOfRequest, writesAfter: writes.length - awaited - writesOfRequest,
  };
}
