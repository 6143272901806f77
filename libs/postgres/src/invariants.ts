import type { Txid } from '#libs/protocol';

/** Anything that runs SQL: a pool or a client. */
export interface Queryable {
  query<Row>(text: string, values?: unknown[]): Promise<{ rows: Row[] }>;
}

export interface ShopDatabases {
  readonly coordinator: Queryable;
  readonly orders: Queryable;
  readonly payments: Queryable;
  readonly inventory: Queryable;
}

export interface InvariantCheck {
  readonly name: string;
  readonly ok: boolean;
  /** What was counted, or the first few offenders. */
  readonly detail: string;
}

export interface InvariantReport {
  readonly ok: boolean;
  readonly transactions: { readonly total: number; readonly committed: number; readonly aborted: number };
  readonly checks: readonly InvariantCheck[];
}

/** What the seed put in: 10,000 customers and SKUs of 1,000,000 each. */
const SEED_TOTAL = 10_000n * 1_000_000n;

/**
 * The invariants of design.md section 6 on a shop at rest: every transaction ended, all branches decided alike (AC1, AC3), client
 * answers equal the register, money and stock add up, nothing prepared and no lock is left.
 * @param answers what clients were told, by txid; answers that were not received are left out
 */
export async function checkInvariants(databases: ShopDatabases, answers: ReadonlyMap<Txid, 'committed' | 'aborted'> = new Map()): Promise<InvariantReport> {
  const outcomes = await loadOutcomes(databases.coordinator);
  const checks = [
    await everyTransactionEnded(databases.coordinator),
    ...(await branchesAgree(databases, outcomes)),
    answersMatch(outcomes, answers),
    await moneyIsConserved(databases.payments),
    await stockIsConserved(databases.inventory),
    await effectsMatchOrders(databases),
    ...(await nothingIsLeft(databases)),
  ];
  const committed = [...outcomes.values()].filter((o) => o === 'committed').length;
  return { ok: checks.every((c) => c.ok), transactions: { total: outcomes.size, committed, aborted: outcomes.size - committed }, checks };
}

type Outcome = 'committed' | 'aborted' | 'pending';

async function loadOutcomes(coordinator: Queryable): Promise<Map<Txid, Outcome>> {
  const { rows } = await coordinator.query<{ txid: Txid; outcome: Outcome }>(`
    SELECT b.txid, coalesce(CASE d.decision WHEN 'COMMIT' THEN 'committed' WHEN 'ABORT' THEN 'aborted' END, e.outcome, 'pending') AS outcome
      FROM tx_begin b LEFT JOIN tx_decision d USING (txid) LEFT JOIN tx_end e USING (txid)`);
  return new Map(rows.map((r) => [r.txid, r.outcome]));
}

async function everyTransactionEnded(coordinator: Queryable): Promise<InvariantCheck> {
  const { rows } = await coordinator.query<{ txid: string }>(`
    SELECT b.txid FROM tx_begin b WHERE NOT EXISTS (SELECT FROM tx_end e WHERE e.txid = b.txid)
    UNION SELECT txid FROM tx_open`);
  return check('every transaction ended', rows.map((r) => r.txid));
}

/** AC1 and AC3 over the participants' own branch tables. */
async function branchesAgree(databases: ShopDatabases, outcomes: ReadonlyMap<Txid, Outcome>): Promise<InvariantCheck[]> {
  const split: string[] = [];
  const unknown: string[] = [];
  const committedBranches = new Map<string, number>();
  for (const participant of ['orders', 'payments', 'inventory'] as const) {
    const { rows } = await databases[participant].query<{ txid: Txid; branch: number; state: string }>('SELECT txid, branch, state FROM concordat_branch');
    for (const row of rows) {
      const outcome = outcomes.get(row.txid);
      if (outcome === undefined) unknown.push(`${participant} ${row.txid}`);
      else if (row.state === 'committed' ? outcome !== 'committed' : row.state !== 'read-only' && outcome === 'committed') split.push(`${participant} ${row.txid} is ${row.state}, decision ${outcome}`);
      if (row.state === 'committed' || row.state === 'read-only') committedBranches.set(row.txid, (committedBranches.get(row.txid) ?? 0) + 1);
    }
  }
  const { rows: wanted } = await databases.coordinator.query<{ txid: Txid; branches: number }>('SELECT txid, jsonb_array_length(branches) AS branches FROM tx_begin');
  const missing = wanted.filter((w) => outcomes.get(w.txid) === 'committed' && committedBranches.get(w.txid) !== w.branches)
    .map((w) => `${w.txid}: ${committedBranches.get(w.txid) ?? 0} of ${w.branches}`);
  return [check('every branch follows the decision', split), check('every branch belongs to a transaction', unknown), check('every committed transaction is applied by all its branches', missing)];
}

function answersMatch(outcomes: ReadonlyMap<Txid, Outcome>, answers: ReadonlyMap<Txid, Outcome>): InvariantCheck {
  const wrong = [...answers].filter(([txid, answer]) => outcomes.get(txid) !== answer).map(([txid, answer]) => `${txid}: told ${answer}, is ${outcomes.get(txid) ?? 'absent'}`);
  return { ...check('every client answer equals the decision', wrong), ...(wrong.length === 0 ? { detail: `${answers.size} answers` } : {}) };
}

async function moneyIsConserved(payments: Queryable): Promise<InvariantCheck> {
  const { rows: [row] } = await payments.query<{ balance: string; held: string; ledger: string }>(`
    SELECT (SELECT sum(balance_cents) FROM account)::text AS balance, (SELECT sum(held_cents) FROM account)::text AS held,
           (SELECT coalesce(sum(amount_cents), 0) FROM ledger_entry)::text AS ledger`);
  return conserved('money is conserved', row!.balance, row!.held, row!.ledger);
}

async function stockIsConserved(inventory: Queryable): Promise<InvariantCheck> {
  const { rows: [row] } = await inventory.query<{ available: string; reserved: string; moved: string }>(`
    SELECT (SELECT sum(available) FROM stock)::text AS available, (SELECT sum(reserved) FROM stock)::text AS reserved,
           (SELECT coalesce(sum(quantity), 0) FROM stock_movement)::text AS moved`);
  return conserved('stock is conserved', row!.available, row!.reserved, row!.moved);
}

function conserved(name: string, free: string, held: string, moved: string): InvariantCheck {
  const ok = BigInt(free) + BigInt(held) + BigInt(moved) === SEED_TOTAL && BigInt(held) === 0n;
  return { name, ok, detail: `free ${free} + held ${held} + moved ${moved}, seed ${SEED_TOTAL}` };
}

/**
 * Order for order: a confirmed one has its ledger entry and its stock movement, of the same amount and quantity; no other has.
 * Orders of transactions that did not ask for all three services are left out: nothing was to be paid or taken for them.
 */
async function effectsMatchOrders(databases: ShopDatabases): Promise<InvariantCheck> {
  const { rows: orders } = await databases.orders.query<{ id: string; status: string; amount: string; quantity: number }>('SELECT id, status, amount_cents::text AS amount, quantity FROM orders');
  const ledger = await sumByOrder(databases.payments, 'SELECT order_id, sum(amount_cents)::text AS total FROM ledger_entry GROUP BY order_id');
  const moved = await sumByOrder(databases.inventory, 'SELECT order_id, sum(quantity)::text AS total FROM stock_movement GROUP BY order_id');
  const partial = await ordersOfPartialTransactions(databases.coordinator);
  for (const id of partial) for (const effects of [ledger, moved]) effects.delete(id);
  const wrong: string[] = [];
  for (const order of orders) {
    if (partial.has(order.id)) continue;
    const paid = ledger.get(order.id);
    const taken = moved.get(order.id);
    const right = order.status === 'confirmed' ? paid === order.amount && taken === String(order.quantity) : paid === undefined && taken === undefined;
    if (!right) wrong.push(`${order.id} ${order.status}: paid ${paid ?? 'nothing'}, taken ${taken ?? 'nothing'}`);
    ledger.delete(order.id);
    moved.delete(order.id);
  }
  wrong.push(...[...ledger.keys()].map((id) => `${id} paid without an order`), ...[...moved.keys()].map((id) => `${id} taken without an order`));
  return check('orders, ledger and stock movements tell the same', wrong);
}

async function ordersOfPartialTransactions(coordinator: Queryable): Promise<ReadonlySet<string>> {
  const { rows } = await coordinator.query<{ id: string }>(`
    SELECT DISTINCT branch->'payload'->>'orderId' AS id FROM tx_begin, jsonb_array_elements(branches) AS branch
     WHERE NOT participants @> ARRAY['orders', 'payments', 'inventory'] AND branch->'payload' ? 'orderId'`);
  return new Set(rows.map((r) => r.id));
}

async function sumByOrder(database: Queryable, sql: string): Promise<Map<string, string>> {
  const { rows } = await database.query<{ order_id: string; total: string }>(sql);
  return new Map(rows.map((r) => [r.order_id, r.total]));
}

async function nothingIsLeft(databases: ShopDatabases): Promise<InvariantCheck[]> {
  const prepared: string[] = [];
  const locks: string[] = [];
  for (const [name, database] of Object.entries(databases) as [keyof ShopDatabases, Queryable][]) {
    if (name !== 'coordinator') {
      const { rows } = await database.query<{ txid: string }>("SELECT txid FROM concordat_branch WHERE state = 'prepared'");
      prepared.push(...rows.map((r) => `${name} ${r.txid}`));
    }
    const { rows: xacts } = await database.query<{ gid: string }>('SELECT gid FROM pg_prepared_xacts WHERE database = current_database()');
    prepared.push(...xacts.map((r) => `${name} prepared transaction ${r.gid}`));
    const { rows: held } = await database.query<{ pid: number; what: string }>(`
      SELECT l.pid, l.mode || ' on ' || coalesce(l.relation::regclass::text, l.locktype) AS what FROM pg_locks l
       WHERE l.database = (SELECT oid FROM pg_database WHERE datname = current_database()) AND l.pid <> pg_backend_pid()
         AND l.locktype <> 'virtualxid' AND EXISTS (SELECT FROM pg_stat_activity a WHERE a.pid = l.pid AND a.backend_type = 'client backend')`);
    locks.push(...held.map((r) => `${name} pid ${r.pid} ${r.what}`));
  }
  const { rows: pending } = await databases.orders.query<{ id: string }>("SELECT id FROM orders WHERE status = 'pending'");
  prepared.push(...pending.map((r) => `pending order ${r.id}`));
  return [check('nothing prepared is left', prepared), check('no lock is held', locks)];
}

function check(name: string, offenders: readonly string[]): InvariantCheck {
  const shown = offenders.slice(0, 5).join('; ');
  return { name, ok: offenders.length === 0, detail: offenders.length === 0 ? 'none' : `${offenders.length}: ${shown}${offenders.length > 5 ? '; ...' : ''}` };
}
