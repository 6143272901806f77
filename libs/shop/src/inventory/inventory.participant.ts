import { Injectable } from '@nestjs/common';
import { AbortMany, type BranchCall, CommitMany, LockMany, Participant, PrepareMany, type VoteResult } from '#libs/participant';
import type { EntityManager } from 'typeorm';
import { grantInOrder, sortedKeys, totalsOf, type Totals, type Wish } from '../grant.js';
import { payloadSchema } from '../schemas.js';
import { expectUpdated, type UpdateResult } from '../updated.js';

export interface Reserve {
  readonly orderId: string;
  readonly sku: string;
  readonly quantity: number;
}

type Call = BranchCall<Reserve>;

/** In key order, so that batches that run at the same time wait for each other instead of deadlocking. */
const LOCK = 'SELECT sku, available FROM stock WHERE sku = ANY($1::text[]) ORDER BY sku FOR UPDATE';

/** `= ANY` beside the join: without it the planner reads the whole table for a batch of some dozens. */
const RESERVE = `
  UPDATE stock SET available = available - d.amount, reserved = reserved + d.amount
    FROM unnest($1::text[], $2::bigint[]) AS d(sku, amount) WHERE stock.sku = d.sku AND stock.sku = ANY($1::text[])`;

const SHIP = `
  WITH moved AS (
    INSERT INTO stock_movement (order_id, sku, quantity) SELECT * FROM unnest($3::text[], $4::text[], $5::int[]))
  UPDATE stock SET reserved = reserved - d.amount
    FROM unnest($1::text[], $2::bigint[]) AS d(sku, amount) WHERE stock.sku = d.sku AND stock.sku = ANY($1::text[])`;

const PUT_BACK = `
  UPDATE stock SET available = available + d.amount, reserved = reserved - d.amount
    FROM unnest($1::text[], $2::bigint[]) AS d(sku, amount) WHERE stock.sku = d.sku AND stock.sku = ANY($1::text[])`;

@Injectable()
@Participant('inventory')
export class InventoryParticipant {
  @LockMany('reserve')
  async lock(calls: readonly Call[], manager: EntityManager): Promise<void> {
    await lockStock(calls, manager);
  }

  /** Refuses UNKNOWN_SKU and OUT_OF_STOCK; reservations of one SKU are granted in the order of the calls. */
  @PrepareMany('reserve', { schema: payloadSchema('orderId', 'sku', 'quantity') })
  async prepare(calls: readonly Call[], manager: EntityManager): Promise<readonly VoteResult[]> {
    const available = await lockStock(calls, manager);
    const { votes, totals } = grantInOrder(calls.map(wishOf), available, { unknown: 'UNKNOWN_SKU', short: 'OUT_OF_STOCK' });
    if (totals.keys.length > 0) await update(RESERVE, totals, manager);
    return votes;
  }

  @CommitMany('reserve')
  async commit(calls: readonly Call[], manager: EntityManager): Promise<void> {
    const payloads = calls.map((call) => call.payload);
    await update(SHIP, totalsOf(calls.map(wishOf)), manager, [payloads.map((p) => p.orderId), payloads.map((p) => p.sku), payloads.map((p) => p.quantity)]);
  }

  @AbortMany('reserve')
  async abort(calls: readonly Call[], manager: EntityManager): Promise<void> {
    await update(PUT_BACK, totalsOf(calls.map(wishOf)), manager);
  }
}

function wishOf({ payload }: Call): Wish {
  return { key: payload.sku, amount: payload.quantity };
}

async function lockStock(calls: readonly Call[], manager: EntityManager): Promise<ReadonlyMap<string, number>> {
  const rows: readonly { readonly sku: string; readonly available: string }[] = await manager.query(LOCK, [sortedKeys(calls.map((call) => call.payload.sku))]);
  return new Map(rows.map((row) => [row.sku, Number(row.available)]));
}

async function update(sql: string, { keys, amounts }: Totals, manager: EntityManager, more: readonly unknown[] = []): Promise<void> {
  const result: UpdateResult = await manager.query(sql, [keys, amounts, ...more]);
  expectUpdated(result, keys.length, 'SKUs');
}
