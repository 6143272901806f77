import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { TransactionRequest } from '#libs/client';
import { checkoutRequest } from '../../libs/shop/src/checkout-request.ts';
import type { Cluster } from '../../test/support/cluster.ts';
import { PROTOCOL_NAMES, type ProtocolName } from '../../libs/protocol/src/messages.ts';
import { becomes, countIn, undecided, undecidedAt, unended } from './quiet.ts';
import type { Ask, Traffic } from './traffic.ts';

/** Some transactions, most of them at once, and what happens to the processes meanwhile. May be played several times. */
export interface Scenario {
  readonly name: string;
  readonly protocols: readonly ProtocolName[];
  /** Resolves when nothing more is done to the processes; clients may still wait then. */
  play(stage: Stage): Promise<void>;
}

export interface Stage {
  readonly cluster: Cluster;
  readonly protocol: ProtocolName;
  readonly traffic: Traffic;
}

const ATOMIC: readonly ProtocolName[] = ['2pc', '3pc', 'paxos-commit'];

/** Long enough for a process to be started again in between, short enough to be waited for when it is not. */
const TIMEOUT_MS = 4_000;
/** What a scenario waits for may never come when a process has just killed itself: then it goes on. */
const PATIENCE_MS = 3_000;
const SHORT_TIMEOUT_MS = 300;
const PAST_TIMEOUT_MS = 600;
/** Time for three inquiries and the question to the peers, at INQUIRE_AFTER_MS = 100. */
const SILENCE_MS = 1_800;
/** By then the first or second inquiry is due. */
const INQUIRED_MS = 400;
const RESOLVED_MS = 8_000;

/** Ordered: a crash point is tried in the first scenario that reaches it. */
export const SCENARIOS: readonly Scenario[] = [
  { name: 'yes', protocols: PROTOCOL_NAMES, play: async ({ protocol, traffic }) => traffic.ask(checkouts(protocol, 6)) },
  { name: 'no', protocols: PROTOCOL_NAMES, play: async ({ protocol, traffic }) => traffic.ask([...checkouts(protocol, 2), ...refusals(protocol, 4)]) },
  { name: 'one phase', protocols: ['2pc'], play: async ({ traffic }) => traffic.ask([...debits(3), ...refusedDebits(1)]) },
  { name: 'timeout', protocols: ATOMIC, play: whileStopped('inventory', ({ protocol }) => checkouts(protocol, 4, SHORT_TIMEOUT_MS)) },
  { name: 'one phase, timeout', protocols: ['2pc'], play: whileStopped('payments', () => debits(3, SHORT_TIMEOUT_MS)) },
  { name: 'step timeout', protocols: ['saga'], play: whileStopped('payments', ({ protocol }) => checkouts(protocol, 4, SHORT_TIMEOUT_MS)) },
  { name: 'late inquiry', protocols: ['2pc'], play: (stage) => lateInquiry(stage, refusals(stage.protocol, 3, 'inventory')) },
  { name: 'silent coordinator', protocols: ATOMIC, play: (stage) => silence(stage, checkouts(stage.protocol, 4)) },
  { name: 'silent coordinator, pre-committed', protocols: ['3pc'], play: (stage) => silenceAfterPreCommit(stage, checkouts(stage.protocol, 4)) },
  { name: 'silent coordinator, no', protocols: ATOMIC, play: (stage) => silence(stage, refusals(stage.protocol, 3, 'inventory')) },
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
async function lateInquiry({ cluster, traffic }: Stage, asks: readonly Ask[]): Promise<void> {
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
  } finally {
    inventory.resume();
    await locker.query('ROLLBACK');
    locker.release();
  }
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

function checkouts(protocol: ProtocolName, count: number, timeoutMs = TIMEOUT_MS): readonly Ask[] {
  return Array.from({ length: count }, () => ({ request: request(protocol, checkout(), timeoutMs), refused: false }));
}

/** Half of them refused by payments, half by inventory, or all by one. */
function refusals(protocol: ProtocolName, count: number, by: 'either' | 'inventory' = 'either'): readonly Ask[] {
  return Array.from({ length: count }, (_, i) => {
    const changed = by === 'either' && i % 2 === 0 ? { amountCents: 2_000_000 } : { sku: 's-none' };
    return { request: request(protocol, { ...checkout(), ...changed }, TIMEOUT_MS), refused: true };
  });
}

function debits(count: number, timeoutMs = TIMEOUT_MS, amountCents = 1_000): readonly Ask[] {
  return Array.from({ length: count }, () => {
    const { orderId, customerId } = checkout();
    return { request: { protocol: '2pc', timeoutMs, branches: [{ participant: 'payments', operation: 'debit', payload: { orderId, customerId, amountCents } }] }, refused: amountCents > 1_000_000 };
  });
}

function refusedDebits(count: number): readonly Ask[] {
  return debits(count, TIMEOUT_MS, 2_000_000);
}

function request(protocol: ProtocolName, wanted: ReturnType<typeof checkout>, timeoutMs: number): TransactionRequest {
  return { ...checkoutRequest(protocol, wanted), timeoutMs } as TransactionRequest;
}

let customers = 0;

/** Each of a customer of its own; SKUs are shared by many. */
function checkout() {
  customers += 1;
  return { orderId: `o-${randomUUID()}`, customerId: `c-${1 + (customers % 10_000)}`, sku: `s-${1 + (customers % 50)}`, quantity: 1, amountCents: 1_000 };
}
