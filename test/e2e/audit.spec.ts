import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { checkInvariants, type Evidence } from '#libs/postgres';
import { AuditedShop, type DatabaseName, type Name } from '../support/audited-shop.js';

let shop: AuditedShop;
beforeAll(async () => { shop = await AuditedShop.open(); }, 60_000);
afterAll(() => shop.close());
beforeEach(() => shop.begin());
afterEach(() => shop.rollback());

/** The checks that do not hold, with the transactions that they name. */
async function broken(evidence: Evidence = shop.evidence()): Promise<Readonly<Record<string, readonly (string | null)[]>>> {
  const report = await checkInvariants(shop.clients, evidence);
  expect(report.ok).toBe(report.checks.every((c) => c.ok));
  return Object.fromEntries(report.checks.filter((c) => !c.ok).map((c) => [c.name, c.offenders.map(({ txid }) => Object.entries(shop.txids).find(([, id]) => id === txid)?.[0] ?? txid)]));
}

const SPLIT = 'every branch follows the decision';
const MISSING = 'every committed transaction is applied by all its branches';
const SAGA = 'every saga step follows the outcome';
const ACCEPTORS = 'the acceptors agree with the outcome';
const EFFECTS = 'orders, ledger and stock movements tell the same';
const ORDERS = 'every order is what its transaction decided';
const LEFT = 'nothing prepared is left';
const REVERSED = 'no decision is reversed';
const ENDED = 'every transaction ended';

describe('the audit of a shop at rest', () => {
  it('finds nothing where nothing is wrong, and counts the transactions', async () => {
    const report = await checkInvariants(shop.clients, shop.evidence());
    expect(report.checks.filter((c) => !c.ok)).toEqual([]);
    expect(report.transactions).toMatchObject({ total: 9, committed: 5, aborted: 4, byProtocol: { saga: { completed: 1, compensated: 1 }, '2pc': { committed: 2, aborted: 1 } } });
  });

  const planted: readonly (readonly [what: string, database: DatabaseName, sql: string, check: string, name: Name | null])[] = [
    ['a branch that aborted although the decision is commit (AC1)', 'payments', "UPDATE concordat_branch SET state = 'aborted' WHERE txid = '<2pc-committed>'", SPLIT, '2pc-committed'],
    ['a branch that committed although the decision is abort (AC1, AC3)', 'inventory', "UPDATE concordat_branch SET state = 'committed' WHERE txid = '<3pc-aborted>'", SPLIT, '3pc-aborted'],
    ['a branch of a committed transaction that is not there', 'inventory', "DELETE FROM concordat_branch WHERE txid = '<paxos-committed>'", MISSING, 'paxos-committed'],
    ['a branch of no transaction', 'orders', "UPDATE concordat_branch SET txid = '00000000-0000-8000-8000-000000000000' WHERE txid = '<2pc-committed>'", 'every branch belongs to a transaction', null],
    ['a branch at a participant that was not asked', 'orders', "UPDATE concordat_branch SET branch = 1 WHERE txid = '<2pc-committed>'", 'every branch belongs to a transaction', '2pc-committed'],
    ['a branch left prepared', 'payments', "UPDATE concordat_branch SET state = 'prepared' WHERE txid = '<2pc-aborted>'", LEFT, '2pc-aborted'],
    ['a branch left pre-committed', 'payments', "UPDATE concordat_branch SET state = 'pre-committed' WHERE txid = '<3pc-committed>'", LEFT, '3pc-committed'],
    ['a branch left pre-aborted', 'payments', "UPDATE concordat_branch SET state = 'pre-aborted' WHERE txid = '<3pc-aborted>'", LEFT, '3pc-aborted'],
    ['a pending order', 'orders', "UPDATE orders SET status = 'pending' WHERE id = 'o-2pc-aborted'", LEFT, null],
    ['a step of a completed saga that has not executed', 'inventory', "DELETE FROM concordat_branch WHERE txid = '<saga-completed>'", SAGA, 'saga-completed'],
    ['a step of a completed saga that was undone', 'orders', "UPDATE concordat_branch SET state = 'compensated' WHERE txid = '<saga-completed>' AND branch = 0", SAGA, 'saga-completed'],
    ['a step of a compensated saga that was not undone', 'inventory', "UPDATE concordat_branch SET state = 'executed' WHERE txid = '<saga-compensated>'", SAGA, 'saga-compensated'],
    ['a pivot of a compensated saga that has executed', 'payments', "UPDATE concordat_branch SET state = 'executed' WHERE txid = '<saga-compensated>'", SAGA, 'saga-compensated'],
    ['a pivot that was undone', 'payments', "UPDATE concordat_branch SET state = 'compensated' WHERE txid = '<saga-compensated>'", SAGA, 'saga-compensated'],
    ['a committed transaction of which only one acceptor has accepted', 'payments', "DELETE FROM concordat_acceptor WHERE txid = '<paxos-committed>'", ACCEPTORS, 'paxos-committed'],
    ['a committed transaction whose greatest ballot aborted a branch', 'inventory', `INSERT INTO concordat_acceptor (txid, peers, promised_n, promised_leader, accepted)
      VALUES ('<paxos-committed>', '{}', 2, 1, '[{"ballot": {"n": 2, "leader": 1}, "value": "aborted"}, null, null]')`, ACCEPTORS, 'paxos-committed'],
    ['a transaction without an end', 'coordinator', "DELETE FROM tx_end WHERE txid = '<2pc-committed>'", ENDED, '2pc-committed'],
    ['a transaction that is still listed as open', 'coordinator', "INSERT INTO tx_open (shard, txid) VALUES (0, '<saga-completed>')", ENDED, 'saga-completed'],
    ['a progress note of an ended transaction', 'coordinator', "INSERT INTO tx_progress (txid, kind, key, data) VALUES ('<saga-completed>', 'SENT', 'place', '{}')", 'no progress note is left', 'saga-completed'],
    ['an end that is not that of the decision', 'coordinator', "UPDATE tx_end SET outcome = 'committed', reason = null WHERE txid = '<2pc-aborted>'", REVERSED, '2pc-aborted'],
    ['a decision that was another one before (AC2)', 'coordinator', "UPDATE tx_decision SET decision = 'COMMIT', reason = null WHERE txid = '<2pc-aborted>'", REVERSED, '2pc-aborted'],
    ['a decision that was there before', 'coordinator', "DELETE FROM tx_decision WHERE txid = '<2pc-committed>'", REVERSED, '2pc-committed'],
    ['a branch that was something else before', 'payments', "UPDATE concordat_branch SET state = 'aborted' WHERE txid = '<2pc-committed>'", REVERSED, '2pc-committed'],
    ['a transaction that a client was told of and that is not there', 'coordinator', "DELETE FROM tx_begin WHERE txid = '<one-phase>'", 'every client answer equals the decision', 'one-phase'],
    ['a committed request of which a client was told that it was not taken', 'coordinator', "UPDATE tx_begin SET idempotency_key = 'never-taken' WHERE txid = '<2pc-committed>'", 'nothing that was refused is committed', '2pc-committed'],
    ['money that came from nowhere', 'payments', "UPDATE account SET balance_cents = balance_cents + 1 WHERE customer_id = 'c-7'", 'money is conserved', null],
    ['money that is still held', 'payments', "UPDATE account SET balance_cents = balance_cents - 1, held_cents = 1 WHERE customer_id = 'c-7'", 'money is conserved', null],
    ['stock that went nowhere', 'inventory', "UPDATE stock SET available = available - 1 WHERE sku = 's-7'", 'stock is conserved', null],
    ['an order that was paid twice', 'payments', "INSERT INTO ledger_entry VALUES ('o-2pc-committed', 'c-1', 100)", EFFECTS, '2pc-committed'],
    ['an order that was not paid', 'payments', "DELETE FROM ledger_entry WHERE order_id = 'o-3pc-committed'", EFFECTS, '3pc-committed'],
    ['stock taken for a rejected order', 'inventory', "INSERT INTO stock_movement VALUES ('o-2pc-aborted', 's-1', 1)", EFFECTS, '2pc-aborted'],
    ['a reversal that undid too little', 'inventory', "UPDATE stock_movement SET quantity = -1 WHERE order_id = 'o-saga-compensated' AND quantity = -2", EFFECTS, 'saga-compensated'],
    ['something paid for an order that is not there', 'payments', "INSERT INTO ledger_entry VALUES ('o-nobody', 'c-1', 5)", EFFECTS, null],
    ['a confirmed order of an aborted transaction', 'orders', "UPDATE orders SET status = 'confirmed' WHERE id = 'o-2pc-aborted'", ORDERS, null],
    ['a rejected order of a committed transaction', 'orders', "UPDATE orders SET status = 'rejected' WHERE id = 'o-paxos-committed'", ORDERS, 'paxos-committed'],
    ['an order that two transactions have confirmed', 'coordinator', `UPDATE tx_begin SET branches = replace(branches::text, 'o-3pc-committed', 'o-2pc-committed')::jsonb WHERE txid = '<3pc-committed>'`, ORDERS, '2pc-committed'],
    ['an order that its committed transaction has not placed', 'orders', "DELETE FROM orders WHERE id = 'o-saga-completed'", ORDERS, 'saga-completed'],
  ];

  it.each(planted)('finds %s', async (_what, database, sql, check, name) => {
    await shop.plant(database, sql);
    const found = await broken();
    expect(Object.keys(found)).toContain(check);
    if (name !== null) expect(found[check]).toContain(name);
  });

  it('finds an aborted transaction of which a majority of the acceptors has accepted every branch', async () => {
    const yes = JSON.stringify([0, 1, 2].map(() => ({ ballot: { n: 0, leader: 0 }, value: 'prepared' })));
    for (const acceptor of ['orders', 'payments'] as const) await shop.plant(acceptor, `UPDATE concordat_acceptor SET accepted = '${yes}' WHERE txid = '<paxos-aborted>'`);
    expect(await broken()).toEqual({ [ACCEPTORS]: ['paxos-aborted'] });
  });

  it('finds a client that was told something else', async () => {
    const evidence = shop.evidence();
    expect(await broken({ ...evidence, answers: new Map([...evidence.answers, [shop.txids['saga-compensated'], 'completed']]) })).toEqual({ 'every client answer equals the decision': ['saga-compensated'] });
  });

  it('finds an outcome that no event tells, and an event that tells another one', async () => {
    const evidence = shop.evidence();
    const events = new Map(evidence.events);
    events.delete(shop.txids['2pc-aborted']);
    events.set(shop.txids['3pc-committed'], new Set(['committed', 'aborted']));
    expect(await broken({ ...evidence, events })).toEqual({ 'every outcome has its event': ['2pc-aborted', '3pc-committed'] });
  });

  it('finds a lock that somebody holds', async () => {
    const { default: pg } = await import('pg');
    const url = new URL(process.env.PG_ADMIN_URL!);
    url.pathname = `/${(await shop.clients.payments.query<{ name: string }>('SELECT current_database() AS name')).rows[0]!.name}`;
    const other = new pg.Client({ connectionString: url.href });
    await other.connect();
    try {
      await other.query('BEGIN');
      await other.query("SELECT FROM account WHERE customer_id = 'c-1' FOR UPDATE");
      expect(Object.keys(await broken())).toEqual(['no lock is held']);
    } finally {
      await other.end();
    }
  });

  it('finds a prepared transaction that nobody finished', async () => {
    const { default: pg } = await import('pg');
    const url = new URL(process.env.PG_ADMIN_URL!);
    url.pathname = `/${(await shop.clients.orders.query<{ name: string }>('SELECT current_database() AS name')).rows[0]!.name}`;
    const other = new pg.Client({ connectionString: url.href });
    await other.connect();
    try {
      await other.query('BEGIN');
      await other.query("PREPARE TRANSACTION 'forgotten'");
      expect(Object.keys(await broken())).toEqual([LEFT]);
    } finally {
      await other.query("ROLLBACK PREPARED 'forgotten'").catch(() => undefined);
      await other.end();
    }
  });

  it('does not miss what may have been cleaned away', async () => {
    await shop.plant('coordinator', "DELETE FROM tx_begin WHERE txid = '<2pc-committed>'");
    await shop.plant('coordinator', "DELETE FROM tx_decision WHERE txid = '<2pc-committed>'");
    await shop.plant('coordinator', "DELETE FROM tx_end WHERE txid = '<2pc-committed>'");
    await shop.plant('payments', "DELETE FROM concordat_branch WHERE txid = '<3pc-committed>'");
    expect(Object.keys(await broken())).not.toEqual([]);
    expect(await broken({ ...shop.evidence(), cleaned: true })).toEqual({});
  });

  it('takes a vote repeated by a later leader, and a step that an operator skipped, for right', async () => {
    await shop.plant('inventory', `INSERT INTO concordat_acceptor (txid, peers, promised_n, promised_leader, accepted)
      VALUES ('<paxos-committed>', '{}', 2, 1, '[{"ballot": {"n": 2, "leader": 1}, "value": "prepared"}, {"ballot": {"n": 2, "leader": 1}, "value": "prepared"}, {"ballot": {"n": 2, "leader": 1}, "value": "prepared"}]')`);
    await shop.plant('coordinator', `UPDATE tx_end SET branches = '[{"state": "skipped"}, {"state": "done"}, {"state": "done"}, {"state": "done"}]' WHERE txid = '<saga-completed>'`);
    await shop.plant('orders', "DELETE FROM concordat_branch WHERE txid = '<saga-completed>' AND branch = 0");
    expect(await broken()).toEqual({});
  });
});
