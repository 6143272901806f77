import { Injectable } from '@nestjs/common';
import { AbortMany, type BranchCall, CommitMany, CompensateMany, ExecuteMany, LockMany, Participant, PrepareMany, type StepResult, vote, type VoteResult } from '#libs/participant';
import type { EntityManager } from 'typeorm';
import { type Granted, grantInOrder, grantMost, sortedKeys, totalsOf, type Totals, type Wish } from '../grant.js';
import { lockInOrder } from '../ordered.js';
import { payloadSchema } from '../schemas.js';
import { expectUpdated, type UpdateResult } from '../updated.js';
import { WISHES } from '../wishes.js';

export interface Reserve {
  readonly orderId: string;
  readonly sku: string;
  readonly quantity: number;
}

export interface CheckStock {
  readonly sku: string;
  readonly quantity: number;
}

type Call = BranchCall<Reserve>;
type Check = BranchCall<CheckStock>;

const SCHEMA = payloadSchema('orderId', 'sku', 'quantity');
const CHECK_SCHEMA = payloadSchema('sku', 'quantity');

const REFUSAL = { unknown: 'UNKNOWN_SKU', short: 'OUT_OF_STOCK' };

const GATE = lockInOrder('stock', 'sku', 7_205_021);

/** In key order, so that batches that run at the same time wait for each other instead of deadlocking. */
const LOCK = 'SELECT sku, available FROM stock WHERE sku = ANY($1::text[]) ORDER BY sku FOR UPDATE';

const LOOK = 'SELECT sku, available FROM stock WHERE sku = ANY($1::text[])';

const RESERVE = `
  UPDATE stock SET available = available - d.amount, reserved = reserved + d.amount
    FROM ${WISHES} WHERE stock.sku = d.key AND stock.available >= d.amount
  RETURNING stock.sku`;

const SHIP = `
  WITH moved AS (
    INSERT INTO stock_movement (order_id, sku, quantity) SELECT * FROM unnest($3::text[], $4::text[], $5::int[]))
  UPDATE stock SET reserved = reserved - d.amount
    FROM ${WISHES} WHERE stock.sku = d.key`;

const PUT_BACK = `
  UPDATE stock SET available = available + d.amount, reserved = reserved - d.amount
    FROM ${WISHES} WHERE stock.sku = d.key`;

/** Negative amounts put back. The movement says what the step did; its reversal is an entry of its own, and nothing is erased. */
const MOVE = `
  WITH moved AS (
    INSERT INTO stock_movement (order_id, sku, quantity) SELECT * FROM unnest($3::text[], $4::text[], $5::int[]))
  UPDATE stock SET available = available - d.amount
    FROM ${WISHES} WHERE stock.sku = d.key`;

/**
 * As a branch: reserve holds the pieces until commit or abort. As a step of a saga it takes them at once, and nothing stays locked: its
 * compensation adds what it took, whatever others have taken or put back meanwhile. That works because both only add and subtract, and
 * never write back a value that was read before: a commutative update (Frank and Zahle, Semantic ACID Properties in Multidatabases,
 * Software: Practice and Experience 28(1) 1998, countermeasures; compensation: Garcia-Molina and Salem, Sagas, SIGMOD 1987, section 1).
 */
@Injectable()
@Participant('inventory')
export class InventoryParticipant {
  @LockMany('reserve', { oneStatement: true })
  async lock(calls: readonly Call[], manager: EntityManager): Promise<void> {
    await manager.query(GATE, [calls.map((call) => call.payload.sku)]);
  }

  /** Refuses UNKNOWN_SKU and OUT_OF_STOCK; reservations of one SKU are granted in the order of the calls. */
  @PrepareMany('reserve', { schema: SCHEMA })
  async prepare(calls: readonly Call[], manager: EntityManager): Promise<readonly StepResult[]> {
    return grantMost(calls.map((call) => wishOf(call)), { take: (totals) => take(totals, manager), look: (keys) => look(keys, manager) }, REFUSAL);
  }

  @CommitMany('reserve', { oneStatement: true })
  async commit(calls: readonly Call[], manager: EntityManager): Promise<void> {
    await update(SHIP, totalsOf(calls.map((call) => wishOf(call))), manager, movements(calls));
  }

  @AbortMany('reserve', { oneStatement: true })
  async abort(calls: readonly Call[], manager: EntityManager): Promise<void> {
    await update(PUT_BACK, totalsOf(calls.map((call) => wishOf(call))), manager);
  }

  /** Refuses as prepare does. */
  @ExecuteMany('reserve', { schema: SCHEMA })
  async take(calls: readonly Call[], manager: EntityManager): Promise<readonly StepResult[]> {
    const { votes, totals } = await grant(calls, manager);
    if (totals.keys.length > 0) await update(MOVE, totals, manager, movements(calls.filter((_, i) => votes[i]!.vote === 'yes')));
    return votes;
  }

  @CompensateMany('reserve', { oneStatement: true })
  async putBack(calls: readonly Call[], manager: EntityManager): Promise<void> {
    await update(MOVE, totalsOf(calls.map((call) => wishOf(call, -1))), manager, movements(calls, -1));
  }

  /** Refuses as reserve does, and holds nothing: a read-only branch, through with its vote. Others may take the pieces in the next moment. */
  @PrepareMany('check', { schema: CHECK_SCHEMA })
  async check(calls: readonly Check[], manager: EntityManager): Promise<readonly VoteResult[]> {
    const free = freeFrom(await manager.query(LOOK, [sortedKeys(calls.map((call) => call.payload.sku))]));
    return calls.map(({ payload: { sku, quantity } }) => {
      const [answer] = grantInOrder([{ key: sku, amount: quantity }], free, REFUSAL).votes;
      return answer!.vote === 'no' ? answer! : vote.readOnly({ available: free.get(sku)! });
    });
  }

  /** Never called: who has voted read-only is not told the decision. */
  @CommitMany('check')
  @AbortMany('check')
  async nothingToDo(): Promise<void> {}
}

async function grant(calls: readonly Call[], manager: EntityManager): Promise<Granted> {
  return grantInOrder(calls.map((call) => wishOf(call)), await lockStock(calls, manager), REFUSAL);
}

/** Columns of stock_movement. */
function movements(calls: readonly Call[], sign: 1 | -1 = 1): readonly (readonly unknown[])[] {
  const payloads = calls.map((call) => call.payload);
  return [payloads.map((p) => p.orderId), payloads.map((p) => p.sku), payloads.map((p) => sign * p.quantity)];
}

function wishOf({ payload }: Call, sign: 1 | -1 = 1): Wish {
  return { key: payload.sku, amount: sign * payload.quantity };
}

function lockStock(calls: readonly Call[], manager: EntityManager): Promise<ReadonlyMap<string, number>> {
  return look(sortedKeys(calls.map((call) => call.payload.sku)), manager);
}

async function look(skus: readonly string[], manager: EntityManager): Promise<ReadonlyMap<string, number>> {
  return freeFrom(await manager.query(LOCK, [skus]));
}

async function take({ keys, amounts }: Totals, manager: EntityManager): Promise<ReadonlySet<string>> {
  const [rows] = await manager.query<readonly [readonly { readonly sku: string }[], number]>(RESERVE, [keys, amounts]);
  return new Set(rows.map((row) => row.sku));
}

function freeFrom(rows: readonly { readonly sku: string; readonly available: string }[]): ReadonlyMap<string, number> {
  return new Map(rows.map((row) => [row.sku, Number(row.available)]));
}

async function update(sql: string, { keys, amounts }: Totals, manager: EntityManager, more: readonly unknown[] = []): Promise<void> {
  const result: UpdateResult = await manager.query(sql, [keys, amounts, ...more]);
  expectUpdated(result, keys.length, 'SKUs');
}
