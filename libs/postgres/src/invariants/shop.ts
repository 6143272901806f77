import type { Txid } from '#libs/protocol';
import { type AuditedTransaction, check, type InvariantCheck, isCommit, type Offender, PARTICIPANTS, type Queryable, type ShopDatabases } from './types.js';

type Transactions = ReadonlyMap<Txid, AuditedTransaction>;

/** What the seed put in: 10,000 customers and SKUs of 1,000,000 each. */
const SEED_TOTAL = 10_000n * 1_000_000n;

export async function moneyIsConserved(payments: Queryable): Promise<InvariantCheck> {
  const { rows: [row] } = await payments.query<{ balance: string; held: string; ledger: string }>(`
    SELECT (SELECT sum(balance_cents) FROM account)::text AS balance, (SELECT sum(held_cents) FROM account)::text AS held,
           (SELECT coalesce(sum(amount_cents), 0) FROM ledger_entry)::text AS ledger`);
  return conserved('money is conserved', row!.balance, row!.held, row!.ledger);
}

export async function stockIsConserved(inventory: Queryable): Promise<InvariantCheck> {
  const { rows: [row] } = await inventory.query<{ available: string; reserved: string; moved: string }>(`
    SELECT (SELECT sum(available) FROM stock)::text AS available, (SELECT sum(reserved) FROM stock)::text AS reserved,
           (SELECT coalesce(sum(quantity), 0) FROM stock_movement)::text AS moved`);
  return conserved('stock is conserved', row!.available, row!.reserved, row!.moved);
}

function conserved(name: string, free: string, held: string, moved: string): InvariantCheck {
  const ok = BigInt(free) + BigInt(held) + BigInt(moved) === SEED_TOTAL && BigInt(held) === 0n;
  const detail = `free ${free} + held ${held} + moved ${moved}, seed ${SEED_TOTAL}`;
  return { name, ok, detail, offenders: ok ? [] : [{ txid: null, what: detail }] };
}

interface Order {
  readonly id: string;
  readonly status: string;
  readonly amount: string;
  readonly quantity: number;
}

/**
 * Order for order: a confirmed one has its ledger entry and its stock movement, of the same amount and quantity; no other has. Entries
 * of one order are added up, and a sum of 0 is none: a saga undoes by a reversing entry. Orders of transactions that did not ask for all
 * three services are left out: nothing was to be paid or taken for them.
 */
export async function effectsMatchOrders(databases: ShopDatabases, transactions: Transactions, cleaned: boolean): Promise<InvariantCheck[]> {
  const { rows: orders } = await databases.orders.query<Order>('SELECT id, status, amount_cents::text AS amount, quantity FROM orders');
  const ledger = await sumByOrder(databases.payments, 'SELECT order_id, sum(amount_cents)::text AS total FROM ledger_entry GROUP BY order_id HAVING sum(amount_cents) <> 0');
  const moved = await sumByOrder(databases.inventory, 'SELECT order_id, sum(quantity)::text AS total FROM stock_movement GROUP BY order_id HAVING sum(quantity) <> 0');
  const effects = cleaned ? check('orders, ledger and stock movements tell the same', []) : sameEffects(orders, ledger, moved, transactions);
  return [effects, ordersTellOutcomes(orders, transactions, cleaned)];
}

function sameEffects(orders: readonly Order[], ledger: Map<string, string>, moved: Map<string, string>, transactions: Transactions): InvariantCheck {
  const owner = ownersOf(transactions);
  const partial = ordersOfPartialTransactions(transactions);
  for (const id of partial) for (const effects of [ledger, moved]) effects.delete(id);
  const wrong: Offender[] = [];
  for (const { id, status, amount, quantity } of orders) {
    if (partial.has(id)) continue;
    const paid = ledger.get(id);
    const taken = moved.get(id);
    const right = status === 'confirmed' ? paid === amount && taken === String(quantity) : paid === undefined && taken === undefined;
    if (!right) wrong.push({ txid: owner.get(id) ?? null, what: `order ${id} ${status}: paid ${paid ?? 'nothing'}, taken ${taken ?? 'nothing'}` });
    ledger.delete(id);
    moved.delete(id);
  }
  for (const id of ledger.keys()) wrong.push({ txid: owner.get(id) ?? null, what: `order ${id} paid without an order` });
  for (const id of moved.keys()) wrong.push({ txid: owner.get(id) ?? null, what: `order ${id} taken without an order` });
  return check('orders, ledger and stock movements tell the same', wrong);
}

/** To whom an order belongs: to who committed it, if somebody did. */
function ownersOf(transactions: Transactions): ReadonlyMap<string, Txid> {
  const owner = new Map<string, Txid>();
  for (const { txid, branches, outcome } of transactions.values()) {
    for (const { orderId } of branches) if (orderId !== null && (isCommit(outcome) || !owner.has(orderId))) owner.set(orderId, txid);
  }
  return owner;
}

function ordersOfPartialTransactions(transactions: Transactions): ReadonlySet<string> {
  const partial = [...transactions.values()].filter(({ branches }) => !PARTICIPANTS.every((name) => branches.some(({ participant, operation }) => participant === name && operation !== 'check')));
  return new Set(partial.flatMap(({ branches }) => branches.flatMap(({ orderId }) => orderId ?? [])));
}

/** An order is confirmed by exactly one transaction that asked for it to be placed and committed; without one it is not. Where an operator ended the waiting, it may be either way. */
function ordersTellOutcomes(orders: readonly Order[], transactions: Transactions, cleaned: boolean): InvariantCheck {
  const committed = new Map<string, Txid[]>();
  const open = new Set<string>();
  for (const { txid, outcome, branches, resolved } of transactions.values()) {
    if (!isCommit(outcome)) continue;
    for (const { operation, orderId } of branches) {
      if (operation !== 'place' || orderId === null) continue;
      if (resolved) open.add(orderId);
      else committed.set(orderId, [...(committed.get(orderId) ?? []), txid]);
    }
  }
  const wrong: Offender[] = [];
  for (const { id, status } of orders) {
    const by = committed.get(id) ?? [];
    committed.delete(id);
    if (by.length === 0 && open.has(id)) continue;
    const right = status === 'confirmed' ? by.length === 1 || (cleaned && by.length === 0) : by.length === 0;
    if (!right) wrong.push({ txid: by[0] ?? null, what: `order ${id} is ${status}, committed by ${by.length} transactions` });
  }
  for (const [id, by] of committed) wrong.push({ txid: by[0]!, what: `order ${id} is not there, committed by ${by.length} transactions` });
  return check('every order is what its transaction decided', wrong);
}

async function sumByOrder(database: Queryable, sql: string): Promise<Map<string, string>> {
  const { rows } = await database.query<{ order_id: string; total: string }>(sql);
  return new Map(rows.map((r) => [r.order_id, r.total]));
}
