import { Injectable } from '@nestjs/common';
import { AbortMany, type BranchCall, CommitMany, ExecuteMany, LockMany, Participant, PrepareMany, type StepResult } from '#libs/participant';
import type { EntityManager } from 'typeorm';
import { type Granted, grantInOrder, grantMost, sortedKeys, totalsOf, type Totals, type Wish } from '../grant.js';
import { lockInOrder } from '../ordered.js';
import { payloadSchema } from '../schemas.js';
import { expectUpdated, type UpdateResult } from '../updated.js';
import { WISHES } from '../wishes.js';

export interface Debit {
  readonly orderId: string;
  readonly customerId: string;
  readonly amountCents: number;
}

type Call = BranchCall<Debit>;

const SCHEMA = payloadSchema('orderId', 'customerId', 'amountCents');

const REFUSAL = { unknown: 'UNKNOWN_CUSTOMER', short: 'INSUFFICIENT_FUNDS' };

const GATE = lockInOrder('account', 'customer_id', 7_205_022);

/** In key order, so that batches that run at the same time wait for each other instead of deadlocking. */
const LOCK = 'SELECT customer_id, balance_cents FROM account WHERE customer_id = ANY($1::text[]) ORDER BY customer_id FOR UPDATE';

const HOLD = `
  UPDATE account SET balance_cents = balance_cents - d.amount, held_cents = held_cents + d.amount
    FROM ${WISHES} WHERE account.customer_id = d.key AND account.balance_cents >= d.amount
  RETURNING account.customer_id`;

const PAY = `
  WITH entered AS (
    INSERT INTO ledger_entry (order_id, customer_id, amount_cents) SELECT * FROM unnest($3::text[], $4::text[], $5::bigint[]))
  UPDATE account SET held_cents = held_cents - d.amount
    FROM ${WISHES} WHERE account.customer_id = d.key`;

const GIVE_BACK = `
  UPDATE account SET balance_cents = balance_cents + d.amount, held_cents = held_cents - d.amount
    FROM ${WISHES} WHERE account.customer_id = d.key`;

const PAY_AT_ONCE = `
  WITH entered AS (
    INSERT INTO ledger_entry (order_id, customer_id, amount_cents) SELECT * FROM unnest($3::text[], $4::text[], $5::bigint[]))
  UPDATE account SET balance_cents = balance_cents - d.amount
    FROM ${WISHES} WHERE account.customer_id = d.key`;

/**
 * As a branch: debit holds the money until commit or abort. As a step of a saga it is the pivot: it pays at once, for good, when all
 * that could be refused elsewhere has been granted; it has no compensation, because what a customer sees leave an account is not undone
 * unnoticed (pivot: Mehrotra and others, A Transaction Model for Multidatabase Systems, ICDCS 1992). It is a commutative update like
 * inventory's (Frank and Zahle 1998): it subtracts, so debits and holds of other transactions may come before and after it.
 */
@Injectable()
@Participant('payments')
export class PaymentsParticipant {
  @LockMany('debit', { oneStatement: true })
  async lock(calls: readonly Call[], manager: EntityManager): Promise<void> {
    await manager.query(GATE, [calls.map((call) => call.payload.customerId)]);
  }

  /** Refuses UNKNOWN_CUSTOMER and INSUFFICIENT_FUNDS; debits of one customer are granted in the order of the calls. */
  @PrepareMany('debit', { schema: SCHEMA })
  async prepare(calls: readonly Call[], manager: EntityManager): Promise<readonly StepResult[]> {
    return grantMost(calls.map(wishOf), { take: (totals) => take(totals, manager), look: (keys) => look(keys, manager) }, REFUSAL);
  }

  @CommitMany('debit', { oneStatement: true })
  async commit(calls: readonly Call[], manager: EntityManager): Promise<void> {
    await update(PAY, totalsOf(calls.map(wishOf)), manager, entries(calls));
  }

  @AbortMany('debit', { oneStatement: true })
  async abort(calls: readonly Call[], manager: EntityManager): Promise<void> {
    await update(GIVE_BACK, totalsOf(calls.map(wishOf)), manager);
  }

  /** Refuses as prepare does. */
  @ExecuteMany('debit', { schema: SCHEMA })
  async pay(calls: readonly Call[], manager: EntityManager): Promise<readonly StepResult[]> {
    const { votes, totals } = await grant(calls, manager);
    if (totals.keys.length > 0) await update(PAY_AT_ONCE, totals, manager, entries(calls.filter((_, i) => votes[i]!.vote === 'yes')));
    return votes;
  }
}

async function grant(calls: readonly Call[], manager: EntityManager): Promise<Granted> {
  return grantInOrder(calls.map(wishOf), await lockAccounts(calls, manager), REFUSAL);
}

/** Columns of ledger_entry. */
function entries(calls: readonly Call[]): readonly (readonly unknown[])[] {
  const payloads = calls.map((call) => call.payload);
  return [payloads.map((p) => p.orderId), payloads.map((p) => p.customerId), payloads.map((p) => p.amountCents)];
}

function wishOf({ payload }: Call): Wish {
  return { key: payload.customerId, amount: payload.amountCents };
}

function lockAccounts(calls: readonly Call[], manager: EntityManager): Promise<ReadonlyMap<string, number>> {
  return look(sortedKeys(calls.map((call) => call.payload.customerId)), manager);
}

async function look(customers: readonly string[], manager: EntityManager): Promise<ReadonlyMap<string, number>> {
  const rows: readonly { readonly customer_id: string; readonly balance_cents: string }[] = await manager.query(LOCK, [customers]);
  return new Map(rows.map((row) => [row.customer_id, Number(row.balance_cents)]));
}

async function take({ keys, amounts }: Totals, manager: EntityManager): Promise<ReadonlySet<string>> {
  const [rows] = await manager.query<readonly [readonly { readonly customer_id: string }[], number]>(HOLD, [keys, amounts]);
  return new Set(rows.map((row) => row.customer_id));
}

async function update(sql: string, { keys, amounts }: Totals, manager: EntityManager, more: readonly unknown[] = []): Promise<void> {
  const result: UpdateResult = await manager.query(sql, [keys, amounts, ...more]);
  expectUpdated(result, keys.length, 'accounts');
}
