import { setTimeout as sleep } from 'node:timers/promises';
import { PROTOCOL_NAMES, type ProtocolName } from '../../libs/protocol/src/messages.ts';
import { checkedDebits, checkouts, debits, impatientSagas, refusals, refusedDebits } from './asks.ts';
import { becomes, countIn, epochs, undecided, undecidedAt, unended } from './quiet.ts';
import { lateAttempt, rivalLeaders } from './rival-scenarios.ts';
import { confirmedByHand, failingPivot } from './saga-scenarios.ts';
import { PATIENCE_MS, RESOLVED_MS, type Scenario, SHORT_TIMEOUT_MS, type Stage } from './stage.ts';
import type { Ask } from './traffic.ts';

const ATOMIC: readonly ProtocolName[] = ['2pc', '3pc', 'paxos-commit'];

const PAST_TIMEOUT_MS = 600;
/** Time for three inquiries and the question to the peers, at INQUIRE_AFTER_MS = 100; and for the broker to give a member up. */
const SILENCE_MS = 1_800;
/** By then the first or second inquiry is due. */
const INQUIRED_MS = 400;

/** Ordered: a crash point is tried in the first scenario that reaches it. */
export const SCENARIOS: readonly Scenario[] = [
  { name: 'yes', protocols: PROTOCOL_NAMES, play: async ({ protocol, traffic }) => traffic.ask(checkouts(protocol, 6)) },
  { name: 'no', protocols: PROTOCOL_NAMES, play: async ({ protocol, traffic }) => traffic.ask([...checkouts(protocol, 2), ...refusals(protocol, 4)]) },
  { name: 'one phase', protocols: ['2pc'], play: async ({ traffic }) => traffic.ask([...debits(3), ...refusedDebits(1)]) },
  { name: 'timeout', protocols: ATOMIC, play: whileStopped('inventory', ({ protocol }) => checkouts(protocol, 4, SHORT_TIMEOUT_MS)) },
  { name: 'one phase, timeout', protocols: ['2pc'], play: whileStopped('payments', () => debits(3, SHORT_TIMEOUT_MS)) },
  { name: 'step timeout', protocols: ['saga'], play: whileStopped('payments', ({ protocol }) => checkouts(protocol, 4, SHORT_TIMEOUT_MS)) },
  { name: 'read-only', protocols: ATOMIC, play: async ({ protocol, traffic }) => traffic.ask(checkedDebits(protocol, 4)) },
  { name: 'confirmed by hand', protocols: ['saga'], play: (stage) => confirmedByHand(stage, impatientSagas(3, 'confirm')) },
  { name: 'failing pivot', protocols: ['saga'], play: (stage) => failingPivot(stage, impatientSagas(3, 'debit')) },
  { name: 'late inquiry', protocols: ['2pc'], play: (stage) => lateInquiry(stage, refusals(stage.protocol, 3, 'inventory')) },
  { name: 'late inquiry, forgotten', protocols: ['2pc'], play: (stage) => lateInquiry(stage, refusals(stage.protocol, 3, 'inventory'), forget) },
  { name: 'silent coordinator', protocols: ATOMIC, play: (stage) => silence(stage, checkouts(stage.protocol, 4)) },
  { name: 'silent coordinator, pre-committed', protocols: ['3pc'], play: (stage) => silenceAfterPreCommit(stage, checkouts(stage.protocol, 4)) },
  { name: 'silent coordinator, no', protocols: ATOMIC, play: (stage) => silence(stage, refusals(stage.protocol, 3, 'inventory')) },
  { name: 'late attempt', protocols: ['3pc'], play: (stage) => lateAttempt(stage, checkouts(stage.protocol, 3)) },
  { name: 'rival leaders', protocols: ['paxos-commit'], play: (stage) => rivalLeaders(stage, checkouts(stage.protocol, 3, SHORT_TIMEOUT_MS)) },
];

/** The participant does nothing until the transactions have timed out. */
function whileStopped(name: 'inventory' | 'payments', asks: (stage: Stage) => readonly Ask[]): Scenario['play'] {
  return async (stage) => {
    const participant = stage.cluster.services[name];
    participant.pause();
    try {
      stage.traffic.ask(asks(stage));
      await sleep(PAST_TIMEOUT_MS);
    } finally {
      participant.resume();
    }
  };
}

/**
 * A participant that is about to ask what has become of its branch is held up by its database until the transaction has been aborted and
 * forgotten; its question goes before the ABORT that waits behind it.
 */
async function lateInquiry(stage: Stage, asks: readonly Ask[], meanwhile: (stage: Stage) => Promise<void> = async () => {}): Promise<void> {
  const { cluster, traffic } = stage;
  const { inventory } = cluster.services;
  inventory.pause();
  const locker = await cluster.pools.orders.connect();
  try {
    traffic.ask(asks);
    await becomes(async () => (await undecidedAt(cluster, 'orders')) >= asks.length, PATIENCE_MS);
    await locker.query('BEGIN; LOCK TABLE concordat_branch IN ACCESS EXCLUSIVE MODE');
    await sleep(INQUIRED_MS);
    inventory.resume();
    await becomes(async () => (await unended(cluster)) === 0, PATIENCE_MS);
    await meanwhile(stage);
  } finally {
    inventory.resume();
    await locker.query('ROLLBACK');
    locker.release();
  }
}

/** The coordinator is taken for dead, gets its shards anew, and loads what is unfinished: of what has ended it knows nothing any more. */
async function forget({ cluster }: Stage): Promise<void> {
  const [coordinator] = cluster.coordinators;
  const before = await epochs(cluster);
  coordinator!.pause();
  try {
    await sleep(SILENCE_MS);
  } finally {
    coordinator!.resume();
  }
  await becomes(async () => (await epochs(cluster)).every((epoch, i) => epoch > before[i]!), RESOLVED_MS);
}

/** The coordinator is stopped when it and inventory alone are pre-committed, which is no majority: the others have to finish what it began. */
async function silenceAfterPreCommit({ cluster, traffic }: Stage, asks: readonly Ask[]): Promise<void> {
  const [coordinator] = cluster.coordinators;
  const { orders, payments, inventory } = cluster.services;
  inventory.pause();
  try {
    traffic.ask(asks);
    await becomes(async () => (await undecidedAt(cluster, 'orders')) >= asks.length && (await undecidedAt(cluster, 'payments')) >= asks.length, PATIENCE_MS);
    for (const participant of [orders, payments]) participant.pause();
    inventory.resume();
    await becomes(async () => (await countIn(cluster, 'inventory', 'pre-committed')) >= asks.length, PATIENCE_MS);
    coordinator!.pause();
  } finally {
    for (const participant of [orders, payments, inventory]) participant.resume();
  }
  try {
    await becomes(async () => (await undecided(cluster)) === 0, RESOLVED_MS);
  } finally {
    coordinator!.resume();
  }
}

/** The coordinator is stopped when all votes but inventory's are in, and stays so until the others have helped themselves as far as they can. */
async function silence({ cluster, protocol, traffic }: Stage, asks: readonly Ask[]): Promise<void> {
  const [coordinator] = cluster.coordinators;
  const { inventory } = cluster.services;
  inventory.pause();
  try {
    traffic.ask(asks);
    await becomes(async () => (await undecidedAt(cluster, 'orders')) >= asks.length && (await undecidedAt(cluster, 'payments')) >= asks.length, PATIENCE_MS);
    coordinator!.pause();
  } finally {
    inventory.resume();
  }
  try {
    if (protocol === '2pc') await sleep(SILENCE_MS);
    else await becomes(async () => (await undecided(cluster)) === 0, RESOLVED_MS);
  } finally {
    coordinator!.resume();
  }
}
