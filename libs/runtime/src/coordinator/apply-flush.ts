import { ReasonCode } from '#libs/protocol';
import type { CoordinatorFlushResult, RegisterEntry } from '../ports.js';
import type { CoordinatorContext } from './context.js';
import type { Round } from './round.js';
import type { Stepper } from './stepper.js';
import type { Transaction } from './transaction.js';
import { viewOf } from './view.js';

/**
 * What follows from a flush, in this order: fenced shards leave, begins are answered, messages and timers that waited are
 * released, the machines hear what the register holds, ends are forgotten. Steps owe their records to `next`.
 */
export function applyFlush(round: Round, result: CoordinatorFlushResult, next: Round, stepper: Stepper, context: CoordinatorContext, ms: number): void {
  const nowMs = context.clock.now();
  context.counters.flushes++;
  if (result.fenced.length > 0) {
    const fenced = new Set(result.fenced);
    const tickets = round.tickets.filter((ticket) => fenced.has(ticket.shard.id));
    round.tickets.splice(0, Infinity, ...round.tickets.filter((ticket) => !fenced.has(ticket.shard.id)));
    const written = [...round.begins, ...round.decisions.map((d) => d.transaction), ...round.ends.map((e) => e.transaction)].filter((t) => fenced.has(t.shard.id));
    context.shards.fenced([...new Set([...written, ...tickets].map((w) => w.shard))], tickets);
    // Of a tenure that is over in any way: nothing of this flush was written for them.
    for (const transaction of written) if (!transaction.gone) context.shards.forget(transaction);
  }
  markDurable(round);
  for (const transaction of round.begins) answerBegin(transaction, result, context);
  for (const owed of round.owed) {
    if (!owed.transaction.gone && !owed.transaction.abandoned) stepper.release(owed, nowMs);
  }
  for (const transaction of round.begins) cancelAbandoned(transaction, next, stepper, nowMs);
  for (const { transaction, record } of round.decisions) {
    if (!transaction.gone) obeyRegister(transaction, record.atMs, result.register.get(transaction.txid), next, stepper, context, nowMs);
  }
  for (const { transaction } of round.ends) {
    if (!transaction.gone) stepper.finish(transaction);
  }
  context.observer.flushed({ begins: round.begins.length, decisions: round.decisions.length, ends: round.ends.length, ms });
}

function markDurable(round: Round): void {
  for (const transaction of round.begins) transaction.owing = false;
  for (const { transaction } of round.decisions) transaction.owing = false;
  for (const { transaction } of round.ends) transaction.owing = false;
}

function answerBegin(transaction: Transaction, { duplicates }: CoordinatorFlushResult, context: CoordinatorContext): void {
  if (transaction.gone) return;
  const { begin } = transaction;
  transaction.begin = null;
  const earlier = duplicates.get(transaction.txid);
  if (earlier !== undefined) {
    context.counters.duplicates++;
    context.table.remove(transaction);
    begin?.resolve({ kind: 'duplicate', ...earlier });
    return;
  }
  context.counters.begun++;
  begin?.resolve({ kind: 'begun', txid: transaction.txid });
  context.observer.begun(viewOf(transaction));
}

/** Its caller gave up while the store was out of reach: no PREPARE has left, and it must end without ever committing. */
function cancelAbandoned(transaction: Transaction, next: Round, stepper: Stepper, nowMs: number): void {
  if (transaction.gone || !transaction.abandoned) return;
  transaction.abandoned = false;
  const reason = { code: ReasonCode.CANCELLED, detail: 'the coordinator\'s database was out of reach when it was submitted' };
  stepper.step(transaction, { kind: 'CANCEL', reason }, next, nowMs);
}

function obeyRegister(
  transaction: Transaction, askedAtMs: number, entry: RegisterEntry | undefined, next: Round, stepper: Stepper, context: CoordinatorContext, nowMs: number,
): void {
  if (entry === undefined) throw new Error(`the store did not say what the register holds for ${transaction.txid}`);
  // Another owner's entry carries another timeline: this one's then goes with END.
  if (entry.atMs === askedAtMs) transaction.timeline.markSaved();
  try {
    stepper.registered(transaction, entry, next, nowMs);
  } catch (error) {
    context.observer.error(error, `register entry of ${transaction.txid}`);
  }
}
