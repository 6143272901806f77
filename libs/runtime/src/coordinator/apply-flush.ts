import type { CoordinatorFlushResult, RegisterEntry } from '../ports.js';
import type { CoordinatorContext } from './context.js';
import { GIVEN_UP } from './given-up.js';
import type { Decide, Round, Rounds } from './round.js';
import type { Stepper } from './stepper.js';
import type { Transaction } from './transaction.js';
import { glimpseOf, viewOf } from './view.js';

export interface Landing {
  /** Steps owe their records to the open one. */
  readonly rounds: Rounds;
  readonly stepper: Stepper;
  readonly context: CoordinatorContext;
}

/**
 * What follows from a flush, in this order: fenced shards leave, begins are answered, messages and timers that waited are
 * released, the machines hear what is durable and what the register holds, ends are forgotten. What goes wrong with one transaction is
 * reported and stops there.
 * @param ms what the flush has taken
 */
export function applyFlush(round: Round, result: CoordinatorFlushResult, landing: Landing, ms: number): void {
  const { stepper, context } = landing;
  const { observer } = context;
  context.counters.flushes++;
  if (result.fenced.length > 0) dropFenced(round, new Set(result.fenced), context);
  for (const transaction of round.writers()) if (transaction.owes === round) transaction.owes = null;
  for (const transaction of round.begins) answerBegin(transaction, result, context);
  for (const owed of round.owed) {
    if (!owed.transaction.gone && !owed.transaction.abandoned) stepper.release(owed);
  }
  for (const transaction of round.begins) each(transaction, 'BEGIN', context, () => hearBegun(transaction, landing));
  for (const { transaction, row } of round.progress) {
    if (row.kind === 'ATTENTION' && !transaction.gone) observer.attention(viewOf(transaction));
  }
  for (const decide of round.decisions) {
    const { transaction } = decide;
    if (transaction.gone) continue;
    const entry = result.register.get(transaction.txid);
    if (entry === undefined) throw new Error(`the store did not say what the register holds for ${transaction.txid}`);
    each(transaction, 'DECIDE', context, () => hearRegister(decide, entry, landing));
  }
  for (const { transaction } of round.ends) each(transaction, 'END', context, () => stepper.finish(transaction));
  observer.flushed({ begins: round.begins.length, progress: round.progress.length, decisions: round.decisions.length, ends: round.ends.length, ms });
}

function each(transaction: Transaction, record: string, { observer }: CoordinatorContext, work: () => void): void {
  if (transaction.gone) return;
  try {
    work();
  } catch (error) {
    observer.error(error, `${record} of ${transaction.txid}`);
  }
}

function dropFenced(round: Round, fenced: ReadonlySet<number>, { shards }: CoordinatorContext): void {
  const tickets = round.tickets.filter((ticket) => fenced.has(ticket.shard.id));
  round.tickets.splice(0, Infinity, ...round.tickets.filter((ticket) => !fenced.has(ticket.shard.id)));
  const written = [...round.writers()].filter((transaction) => fenced.has(transaction.shard.id));
  shards.fenced([...new Set([...written, ...tickets].map(({ shard }) => shard))], tickets);
  // Of a tenure that is over in any way: nothing of this flush was written for them.
  for (const transaction of written) if (!transaction.gone) shards.forget(transaction);
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
  context.observer.begun(glimpseOf(transaction));
}

/** If its caller gave up while the store was out of reach, nobody was asked for anything yet, and it must end without ever committing. */
function hearBegun(transaction: Transaction, { rounds, stepper }: Landing): void {
  if (transaction.abandoned) {
    transaction.abandoned = false;
    stepper.step(transaction, { kind: 'CANCEL', reason: GIVEN_UP }, rounds.open);
  }
  if (transaction.protocol.hearsBegun) stepper.step(transaction, { kind: 'BEGUN' }, rounds.open);
}

function hearRegister({ transaction, row, as }: Decide, entry: RegisterEntry, { rounds, stepper }: Landing): void {
  // Another owner's entry carries another timeline: this one's then goes with END.
  if (entry.atMs === row.atMs) transaction.timeline.markSaved();
  if (as === 'register') return stepper.registered(transaction, entry, rounds.open);
  stepper.recorded(transaction, entry);
  if (as === 'site') stepper.reveal(transaction);
}
