import { Injectable } from '@nestjs/common';
import { AbortMany, type BranchCall, CommitMany, CompensateMany, ExecuteMany, Participant, PrepareMany, type StepResult, vote } from '#libs/participant';
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

export interface ConfirmOrder {
  readonly orderId: string;
}

type Call = BranchCall<PlaceOrder>;
type Confirm = BranchCall<ConfirmOrder>;

const PLACE_SCHEMA = payloadSchema('orderId', 'customerId', 'sku', 'quantity', 'amountCents');

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

/** As FINISH, locking in key order first: steps of many sagas, and placements that meet their ids, come at the same time. */
const END_PENDING = `
  UPDATE orders SET status = $1
    FROM (SELECT id FROM orders WHERE id = ANY($2::text[]) AND status = 'pending' ORDER BY id FOR UPDATE) AS pending
   WHERE orders.id = pending.id AND orders.id = ANY($2::text[])
  RETURNING orders.id`;

/**
 * As a branch: place holds the order as pending until commit or abort. As steps of a saga: place, and confirm behind the pivot. Between
 * the two the order stays `pending` although place is long through: that is a semantic lock, a mark which tells everybody that what they
 * see may still be undone, and by which others are refused (a second order of the same id). Confirm removes it, or place's compensation.
 * Source of the countermeasure: Frank and Zahle, Semantic ACID Properties in Multidatabases, Software: Practice and Experience 28(1)
 * 1998, against what Garcia-Molina and Salem, Sagas, SIGMOD 1987, section 1, leave open: others see the effects of single steps.
 */
@Injectable()
@Participant('orders')
export class OrdersParticipant {
  /** Refuses DUPLICATE_ORDER: the id is taken by an order that is not rejected, or by an earlier call of the batch. */
  @PrepareMany('place', { schema: PLACE_SCHEMA })
  async prepare(calls: readonly Call[], manager: EntityManager): Promise<readonly StepResult[]> {
    const placed = await insertPending(calls, manager);
    return calls.map((call) => (placed.has(call) ? vote.yes() : duplicate(call)));
  }

  @CommitMany('place', { oneStatement: true })
  async commit(calls: readonly Call[], manager: EntityManager): Promise<void> {
    await finish('confirmed', calls, manager);
  }

  @AbortMany('place', { oneStatement: true })
  async abort(calls: readonly Call[], manager: EntityManager): Promise<void> {
    await finish('rejected', calls, manager);
  }

  /** Refuses as prepare does. Later steps find the order's id among their inputs. */
  @ExecuteMany('place', { schema: PLACE_SCHEMA })
  async place(calls: readonly Call[], manager: EntityManager): Promise<readonly StepResult[]> {
    const placed = await insertPending(calls, manager);
    return calls.map((call) => (placed.has(call) ? vote.yes({ orderId: call.payload.orderId }) : duplicate(call)));
  }

  @CompensateMany('place', { oneStatement: true })
  async reject(calls: readonly Call[], manager: EntityManager): Promise<void> {
    expectUpdated(await manager.query(END_PENDING, ['rejected', idsOf(calls)]), calls.length, 'orders to be rejected');
  }

  /**
   * The retriable end of the saga. An order that is not pending would be another's to confirm, or nobody's: the answer is NO, which a
   * retriable step repeats until a person looks, and the calls beside it are not held up.
   */
  @ExecuteMany('confirm', { schema: payloadSchema('orderId') })
  async confirm(calls: readonly Confirm[], manager: EntityManager): Promise<readonly StepResult[]> {
    const firsts = firstPerOrder(calls);
    const [rows] = await manager.query<readonly [readonly { readonly id: string }[], number]>(END_PENDING, ['confirmed', idsOf(firsts)]);
    const ids = new Set(rows.map((row) => row.id));
    const confirmed = new Set(firsts.filter((call) => ids.has(call.payload.orderId)));
    return calls.map((call) => (confirmed.has(call) ? vote.yes({ orderId: call.payload.orderId }) : vote.no('ORDER_NOT_PENDING', `there is no pending order ${call.payload.orderId}`)));
  }
}

/** The calls whose order is now pending. */
async function insertPending(calls: readonly Call[], manager: EntityManager): Promise<ReadonlySet<Call>> {
  const firsts = firstPerOrder(calls);
  const payloads = firsts.map((call) => call.payload);
  const inserted: readonly { readonly id: string }[] = await manager.query(INSERT, [
    payloads.map((p) => p.orderId), payloads.map((p) => p.customerId), payloads.map((p) => p.sku), payloads.map((p) => p.quantity), payloads.map((p) => p.amountCents),
  ]);
  const ids = new Set(inserted.map((row) => row.id));
  return new Set(firsts.filter((call) => ids.has(call.payload.orderId)));
}

function duplicate({ payload }: Call): StepResult {
  return vote.no('DUPLICATE_ORDER', `there is already an order ${payload.orderId}`);
}

function idsOf(calls: readonly Confirm[]): readonly string[] {
  return calls.map((call) => call.payload.orderId);
}

/** The first call for each id, ids in order: an INSERT may meet each id once. */
function firstPerOrder<C extends Confirm>(calls: readonly C[]): readonly C[] {
  const firsts = new Map<string, C>();
  for (const call of calls) if (!firsts.has(call.payload.orderId)) firsts.set(call.payload.orderId, call);
  return [...firsts.keys()].sort().map((id) => firsts.get(id)!);
}

async function finish(status: 'confirmed' | 'rejected', calls: readonly Call[], manager: EntityManager): Promise<void> {
  const result: UpdateResult = await manager.query(FINISH, [status, idsOf(calls)]);
  expectUpdated(result, calls.length, `orders to be ${status}`);
}
