/** What must hold, asked after every durable write and at the end. */
import type { OutcomeStatus } from '#libs/protocol';
import type { SiteName } from '../system.js';
import { Violation, type Instance, type Transaction, type World } from './model.js';

/** What the rows of a role that has handlers say of the site's pieces. */
interface Possessions {
  readonly held?: number;
  readonly applied?: number;
}

/**
 * After a durable write. Whoever reads the tables at this moment is told what they say: it stays an answer that no later state of
 * the tables may contradict (AC2).
 */
export function checkWritten(transaction: Transaction): void {
  const { system, view, startAt } = transaction;
  const told = system.roles[startAt]!.read?.(view.durables[startAt] ?? null) ?? null;
  if (told !== null && !view.answers.includes(told)) view.answers.push(told);
  checkSafety(transaction);
}

/** A client is told. */
export function addAnswer(world: World, { transaction, process }: Instance, outcome: OutcomeStatus): void {
  world.trace?.({ atMs: world.nowMs, kind: 'answer', process: process.name, txid: transaction.system.txid, outcome });
  const { answers } = transaction.view;
  if (answers.includes(outcome)) return;
  answers.push(outcome);
  checkSafety(transaction);
}

function checkSafety({ system, view }: Transaction): void {
  const violation = system.violation(view);
  if (violation !== null) throw new Violation(violation);
}

// ---------------------------------------------------------------- in doubt

/** Notes how long a role held something back for a transaction whose outcome it did not know. */
export function noteHeld(world: World, { heldSinceMs }: Transaction, role: number, durable: unknown): void {
  const held = ((durable as Possessions | null)?.held ?? 0) > 0;
  const since = heldSinceMs[role]!;
  if (held === since >= 0) return;
  if (!held) world.longestInDoubtMs = Math.max(world.longestInDoubtMs, world.nowMs - since);
  heldSinceMs[role] = held ? world.nowMs : -1;
}

// ---------------------------------------------------------------- the end

export function checkLeftovers({ transactions }: World, sites: ReadonlySet<SiteName>): void {
  for (const { system, view } of transactions) {
    if (!system.ended(view, sites)) continue;
    const leftover = system.leftover(view, sites);
    if (leftover !== null) throw new Violation(leftover);
  }
}

/** Pieces are in stock, held back or used, and none else. */
export function checkConservation({ sites, transactions }: World): void {
  const pieces = sites.map(({ stock }) => stock);
  for (const { instances, view } of transactions) {
    for (let i = 0; i < instances.length; i++) pieces[instances[i]![0]!.process.site.index]! += possessionsOf(view.durables[i]);
  }
  for (const { index, name, firstStock } of sites) {
    if (pieces[index] !== firstStock) throw new Violation(`CONSERVATION: ${name} began with ${firstStock} pieces and has ${pieces[index]}`);
  }
}

function possessionsOf(durable: unknown): number {
  if (durable === null) return 0;
  const { held = 0, applied = 0 } = durable as Possessions;
  return held + applied;
}

/** AC4: the outcome is what the votes say, when nothing went wrong and nobody commanded anything; the tables say it, and the client that waited was told. */
export function checkExpected({ transactions }: World): void {
  for (const { system: { roles, expected, protocol }, view, startAt, instances } of transactions) {
    const outcome = roles[startAt]!.read?.(view.durables[startAt] ?? null) ?? null;
    if (outcome !== expected) throw new Violation(`AC4: nothing went wrong, and ${protocol} ended ${outcome ?? 'with no outcome'} instead of ${expected}`);
    if (!instances[startAt]!.some(({ told }) => told)) throw new Violation(`AC4: nothing went wrong, and ${protocol} left the client that waited without an answer`);
  }
}

/** Who asks an owner while nothing goes wrong gets a transaction, and what becomes of it. */
export function checkRequests({ transactions }: World): void {
  for (const transaction of transactions) {
    if (!transaction.client.receivedInPeace || outcomeOf(transaction) !== null) continue;
    throw new Violation(`AC5: ${transaction.system.protocol} was asked for a transaction after the last fault, and there is no outcome`);
  }
}

/** As the tables that clients read say, else as clients were told; null: it never began, or nobody there knows. */
export function outcomeOf({ system, view, startAt }: Transaction): OutcomeStatus | null {
  return system.roles[startAt]!.read?.(view.durables[startAt] ?? null) ?? view.answers[0] ?? null;
}
