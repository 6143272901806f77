import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { PoolClient } from 'pg';
import { checkoutRequest } from '../support/checkout.js';
import { Cluster } from '../support/cluster.js';
import { eventually } from '../support/eventually.js';

let cluster: Cluster;

beforeAll(async () => {
  cluster = await Cluster.start({ adminUrl: process.env.PG_ADMIN_URL!, brokers: process.env.KAFKA_BROKERS! });
}, 120_000);
afterAll(async () => { await cluster?.stop(); }, 60_000);

const act = (id: string, body: unknown) => cluster.call('POST', `/v1/transactions/${id}/actions`, { body, role: 'operate' });
const read = async (id: string) => (await cluster.call('GET', `/v1/transactions/${id}`, { role: 'read' })).body;

/** Inventory can reserve but not apply COMMIT while somebody else holds this table. */
async function withInventoryUnableToCommit(work: () => Promise<void>): Promise<void> {
  const blocker: PoolClient = await cluster.pools.inventory.connect();
  try {
    await blocker.query('BEGIN');
    await blocker.query('LOCK TABLE stock_movement IN ACCESS EXCLUSIVE MODE');
    await work();
  } finally {
    await blocker.query('ROLLBACK');
    blocker.release();
  }
}

describe('a committed transaction that one participant has not applied yet', () => {
  it('is answered as committed, is not finished, stays so after retry-now, and is finished by resolve', async () => {
    let id = '';
    await withInventoryUnableToCommit(async () => {
      const { status, body } = await cluster.call('POST', '/v1/transactions', { body: checkoutRequest(), role: 'submit' });
      expect([status, body.status, body.finishedAt]).toEqual([200, 'committed', null]);
      id = body.id;
      await eventually('orders and payments have acknowledged', async () => {
        expect((await read(id)).branches.map((b: any) => b.state)).toEqual(['committed', 'committed', 'prepared']);
      });
      expect((await act(id, { action: 'retry-now', comment: 'the database is back' })).status).toBe(200);
      expect((await read(id)).finishedAt).toBeNull();

      const refused = await act(id, { action: 'cancel' });
      expect([refused.status, refused.body.code]).toEqual([409, expect.any(String)]);

      const resolved = await act(id, { action: 'resolve', comment: 'inventory is rebuilt by hand' });
      expect([resolved.status, resolved.body.status]).toEqual([200, 'committed']);
      await eventually('it is finished', async () => { expect((await read(id)).finishedAt).not.toBeNull(); });
    });

    await eventually('inventory applies the decision when it can', async () => {
      const { rows } = await cluster.pools.inventory.query<{ state: string }>('SELECT state FROM concordat_branch WHERE txid = $1', [id]);
      expect(rows.map((r) => r.state)).toEqual(['committed']);
    });
    const { body: audit } = await cluster.call('GET', '/v1/audit', { role: 'operate' });
    const entries = JSON.stringify(audit);
    for (const word of ['retry-now', 'resolve', 'inventory is rebuilt by hand', id, 'token:operate']) expect(entries).toContain(word);
    await cluster.audit();
  }, 120_000);

  it('with waitFor finished the caller hears 202 while it is not applied, and 200 once it is', async () => {
    let id = '';
    await withInventoryUnableToCommit(async () => {
      const { status, body } = await cluster.call('POST', '/v1/transactions', { body: { ...checkoutRequest(), waitFor: 'finished' }, role: 'submit', headers: { prefer: 'wait=2' } });
      expect(status).toBe(202);
      id = body.id;
    });
    const { status, body } = await cluster.call('GET', `/v1/transactions/${id}?wait=30`, { role: 'read' });
    expect([status, body.status]).toEqual([200, 'committed']);
    await cluster.audit();
  }, 120_000);
});

describe('a participant that is killed while branches are prepared', () => {
  it('comes back, learns every decision, and leaves nothing prepared', async () => {
    const started = await Promise.all(Array.from({ length: 200 }, (_, i) => cluster.call('POST', '/v1/transactions', {
      body: { ...checkoutRequest({ customerId: `c-${i + 1}`, sku: `s-${i + 1}` }), timeoutMs: 3_000 }, role: 'submit', headers: { prefer: 'respond-async' },
    })));
    await cluster.services.inventory.kill9();
    const decided = await Promise.all(started.map(async ({ body }) => (await cluster.call('GET', `/v1/transactions/${body.id}?wait=30`, { role: 'read' })).body));
    expect(decided.filter((t) => t.status === 'pending')).toEqual([]);
    await cluster.services.inventory.start();
    await cluster.audit(new Map(decided.map((t) => [t.id, t.status])));
  }, 120_000);
});
