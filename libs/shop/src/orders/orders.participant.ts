import { Injectable } from '@nestjs/common';
import { AbortMany, type BranchCall, CommitMany, Participant, PrepareMany, vote, type VoteResult } from '#libs/participant';
import type { EntityManager } from 'typeorm';
import { payloadSchema } from '../schemas.js';
import { expectUpdated, type UpdateResult } from '../updated.js';

export interface PlaceOrder {
  readonly orderId: string;
  readonly customerId: string;
  readonly sku: string;
  readonly quantity: number;
  readonly amountCents: number;
}

type Call = BranchCall<PlaceOrder>;

/** The statement decides, not a look beforehand: of two transactions that want the same id at once the second waits, then is refused. */
const INSERT = `
  INSERT INTO orders (id, customer_id, sku, quantity, amount_cents, status)
  SELECT id, customer_id, sku, quantity, amount_cents, 'pending'
    FROM unnest($1::text[], $2::text[], $3::text[], $4::int[], $5::bigint[]) AS n(id, customer_id, sku, quantity, amount_cents)
      ON CONFLICT (id) DO UPDATE
     SET customer_id = excluded.customer_id, sku = excluded.sku, quantity = excluded.quantity, amount_cents = excluded.amount_cents, status = 'pending'
   WHERE orders.status = 'rejected'
  RETURNING id`;

/** A pending order belongs to one prepared branch: every other that wants its id is refused. */
const FINISH = `UPDATE orders SET status = $1 WHERE id = ANY($2::text[]) AND status = 'pending'`;

@Injectable()
@Participant('orders')
export class OrdersParticipant {
  /** Refuses DUPLICATE_ORDER: the id is taken by an order that is not rejected, or by an earlier call of the batch. */
  @PrepareMany('place', { schema: payloadSchema('orderId', 'customerId', 'sku', 'quantity', 'amountCents') })
  async prepare(calls: readonly Call[], manager: EntityManager): Promise<readonly VoteResult[]> {
    const firsts = firstPerOrder(calls);
    const payloads = firsts.map((call) => call.payload);
    const inserted: readonly { readonly id: string }[] = await manager.query(INSERT, [
      payloads.map((p) => p.orderId), payloads.map((p) => p.customerId), payloads.map((p) => p.sku), payloads.map((p) => p.quantity), payloads.map((p) => p.amountCents),
    ]);
    const ids = new Set(inserted.map((row) => row.id));
    const placed = new Set(firsts.filter((call) => ids.has(call.payload.orderId)));
    return calls.map((call) => (placed.has(call) ? vote.yes() : vote.no('DUPLICATE_ORDER', `there is already an order ${call.payload.orderId}`)));
  }

  @CommitMany('place')
  async commit(calls: readonly Call[], manager: EntityManager): Promise<void> {
    await finish('confirmed', calls, manager);
  }

  @AbortMany('place')
  async abort(calls: readonly Call[], manager: EntityManager): Promise<void> {
    await finish('rejected', calls, manager);
  }
}

/** The first call for each id, ids in order: an INSERT may meet each id once. */
function firstPerOrder(calls: readonly Call[]): readonly Call[] {
  const firsts = new Map<string, Call>();
  for (const call of calls) if (!firsts.has(call.payload.orderId)) firsts.set(call.payload.orderId, call);
  return [...firsts.keys()].sort().map((id) => firsts.get(id)!);
}

async function finish(status: 'confirmed' | 'rejected', calls: readonly Call[], manager: EntityManager): Promise<void> {
  const result: UpdateResult = await manager.query(FINISH, [status, calls.map((call) => call.payload.orderId)]);
  expectUpdated(result, calls.length, `orders to be ${status}`);
}
