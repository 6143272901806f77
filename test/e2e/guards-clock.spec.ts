import { randomUUID } from 'node:crypto';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { createPool } from '#libs/postgres';
import type { TransactionOutcome, Txid } from '#libs/protocol';
import { type CheckoutOptions, checkoutRequest } from '../support/checkout.js';
import { Cluster } from '../support/cluster.js';
import { eventually } from '../support/eventually.js';
import { type OwnPostgres, startOwnPostgres } from '../support/own-postgres.js';
import { effectsOf, statesOf, txidOf } from '../support/shop-tables.js';

// Processes that live in other timezones than each other and than their databases, and whose wall clocks are set while they work.

const PROTOCOLS = ['2pc', '3pc', 'paxos-commit', 'saga'] as const;
const HOUR_MS = 3_600_000;
const SUCCESS = ['committed', 'committed', 'committed', 'completed'];
type Checkout = CheckoutOptions & { readonly orderId: string };

let database: OwnPostgres;
let cluster: Cluster;
const clocks = fs.mkdtempSync(path.join(os.tmpdir(), 'concordat-clocks-'));
const answers = new Map<Txid, TransactionOutcome>();

beforeAll(async () => {
  database = await startOwnPostgres();
  const admin = createPool(database.adminUrl, { max: 1, applicationName: 'checker' });
  await admin.query("ALTER SYSTEM SET timezone = 'Asia/Kathmandu'");
  await admin.query('SELECT pg_reload_conf()');
  await admin.end();
  cluster = await Cluster.start({
    adminUrl: process.env.PG_ADMIN_URL!, adminUrls: { coordinator: database.adminUrl, payments: database.adminUrl }, brokers: process.env.KAFKA_BROKERS!, crashPoints: true,
    env: { TZ: 'Pacific/Kiritimati', NODE_OPTIONS: `--import ${pathToFileURL(path.resolve('test/support/wall-clock.mjs')).href}`, WALL_CLOCK_DIR: clocks },
  });
  await cluster.services.payments.restart({ TZ: 'America/St_Johns' });
}, 120_000);
afterEach(async () => { await Promise.all(cluster.processes().filter(({ alive }) => alive).map(({ instance }) => setClock(instance, 0))); }, 30_000);
afterAll(async () => {
  await cluster?.stop();
  await database?.remove();
  fs.rmSync(clocks, { recursive: true, force: true });
}, 60_000);

/** The wall clock of a process jumps, to so much from the real time; resolves when it has jumped. */
async function setClock(instance: string, hours: number): Promise<void> {
  const file = path.join(clocks, instance);
  const read = (name: string): string => (fs.existsSync(name) ? fs.readFileSync(name, 'utf8') : '0');
  const wanted = String(hours * HOUR_MS);
  fs.writeFileSync(`${file}.new`, wanted);
  fs.renameSync(`${file}.new`, file);
  await eventually(`the clock of ${instance} has jumped`, async () => expect(read(`${file}.seen`)).toBe(wanted), 20_000);
}

let customers = 0;
function newCheckout(over: CheckoutOptions = {}): Checkout {
  customers += 1;
  return { orderId: `o-${randomUUID()}`, customerId: `c-${customers}`, sku: `s-${customers}`, quantity: 1, amountCents: 1_000, ...over };
}

async function begin(body: unknown): Promise<Txid> {
  const answer = await cluster.call('POST', '/v1/transactions', { body, role: 'submit', headers: { prefer: 'respond-async' } });
  expect([200, 202]).toContain(answer.status);
  return answer.body.id;
}

async function ended(id: Txid): Promise<any> {
  const { body } = await cluster.call('GET', `/v1/transactions/${id}?wait=30&waitFor=finished`, { role: 'read' });
  expect([...SUCCESS, 'aborted', 'compensated']).toContain(body.status);
  answers.set(id, body.status);
  return body;
}

/** All protocols, begun and held up at inventory while `meanwhile` happens. */
async function whileUndecided(meanwhile: () => Promise<void>): Promise<readonly any[]> {
  const { inventory } = cluster.services;
  const begun: { readonly id: Txid; readonly orderId: string }[] = [];
  inventory.pause();
  try {
    for (const protocol of PROTOCOLS) {
      const checkout = newCheckout();
      begun.push({ id: await begin({ ...checkoutRequest(checkout, protocol), timeoutMs: 60_000 }), orderId: checkout.orderId });
    }
    for (const { orderId } of begun) await eventually('orders has its branch', async () => expect(await txidOf(cluster, orderId)).not.toBeNull());
    await meanwhile();
  } finally {
    inventory.resume();
  }
  return Promise.all(begun.map(({ id }) => ended(id)));
}

describe('processes and databases in different timezones', () => {
  it('the services do live there', async () => {
    const zones = await Promise.all((['coordinator', 'payments', 'orders'] as const).map(async (name) => (await cluster.pools[name].query('SHOW timezone')).rows[0].TimeZone));
    expect(zones).toEqual(['Asia/Kathmandu', 'Asia/Kathmandu', expect.not.stringContaining('Asia')]);
  });

  it.each(PROTOCOLS)('%s ends as ever, and all times are the real ones', async (protocol) => {
    const since = new Date(Date.now() - 60_000).toISOString();
    const until = new Date(Date.now() + 60_000).toISOString();
    const transaction = await ended(await begin(checkoutRequest(newCheckout(), protocol)));
    expect(SUCCESS).toContain(transaction.status);
    for (const time of [transaction.createdAt, transaction.decidedAt, transaction.finishedAt]) expect(Math.abs(Date.parse(time) - Date.now())).toBeLessThan(60_000);
    const list = async (query: string): Promise<string[]> => (await cluster.call('GET', `/v1/transactions?protocol=${protocol}&${query}`, { role: 'read' })).body.items.map((item: any) => item.id);
    expect(await list(`since=${since}&until=${until}`)).toEqual([transaction.id]);
    expect(await list(`since=${until}`)).toEqual([]);
  });

  it('a branch in doubt that is read back from its database is as old as it is', async () => {
    const { payments } = cluster.services;
    const transactions = await whileUndecided(async () => {
      await payments.kill9();
      await payments.start({ TZ: 'America/St_Johns' });
      await eventually('payments remembers what it is in doubt about', async () => {
        const { body } = await cluster.call('GET', '/v1/branches/in-doubt', { role: 'read', url: payments.url });
        expect(body.branches.map((branch: any) => branch.protocol)).toContain('2pc');
        for (const { ageMs, since } of body.branches) expect([ageMs < 60_000, Math.abs(Date.parse(since) - Date.now()) < 60_000]).toEqual([true, true]);
      }, 20_000);
    });
    expect(transactions[0]).toMatchObject({ protocol: '2pc', status: 'committed' });
  }, 60_000);
});

describe('a wall clock that jumps', () => {
  it.each([2, -2])('by %d hours at the coordinator ends no transaction before its time', async (hours) => {
    const transactions = await whileUndecided(async () => {
      await setClock('coordinator-0', hours);
      // What begins now is of that time.
      const payload = { orderId: `o-${randomUUID()}`, customerId: 'c-9000', amountCents: 1 };
      const { createdAt } = await ended(await begin({ protocol: '2pc', branches: [{ participant: 'payments', operation: 'debit', payload }] }));
      expect(Math.abs(Date.parse(createdAt) - Date.now() - hours * HOUR_MS)).toBeLessThan(60_000);
    });
    if (hours > 0) expect(transactions.map(({ status }) => status)).toEqual(SUCCESS);
    // Set back, it joins its group again: that is a recovery, after which 2pc aborts what is undecided and 3pc's sites may have done so. But no timeout.
    else for (const { status, reason } of transactions) if (!SUCCESS.includes(status)) expect(['COORDINATOR_RECOVERED', 'PEER_TERMINATION']).toContain(reason.code);
  }, 60_000);

  it('back by 4 hours holds no timeout up', async () => {
    const { inventory } = cluster.services;
    inventory.pause();
    try {
      const ids = await Promise.all((['2pc', '3pc', 'paxos-commit'] as const).map((protocol) => begin({ ...checkoutRequest(newCheckout(), protocol), timeoutMs: 1_000 })));
      await setClock('coordinator-0', -4);
      for (const id of ids) {
        const { body } = await cluster.call('GET', `/v1/transactions/${id}?wait=20`, { role: 'read' });
        expect(body).toMatchObject({ status: 'aborted', reason: { code: 'PREPARE_TIMEOUT' } });
      }
    } finally {
      inventory.resume();
    }
  }, 60_000);

  it('back by 6 hours makes its consumers join their groups again, and work goes on', async () => {
    const members = [cluster.coordinators[0]!, cluster.services.payments].map((process) => ({ process, logged: process.output.length }));
    await Promise.all(members.map(({ process }) => setClock(process.instance, -6)));
    for (const { process, logged } of members) await eventually(`${process.instance} joins again`, async () => expect(process.output.slice(logged)).toContain('the wall clock was set back'), 20_000);
    for (const protocol of PROTOCOLS) expect(SUCCESS).toContain((await ended(await begin(checkoutRequest(newCheckout(), protocol)))).status);
  }, 60_000);

  it.each(['3pc', 'paxos-commit'] as const)('at every participant by something else keeps nobody from ending %s without its coordinator', async (protocol) => {
    const [coordinator] = cluster.coordinators;
    const checkout = newCheckout();
    coordinator!.arm(`coordinator.after.send:${protocol === '3pc' ? '3pc/PRE_COMMIT' : 'paxos-commit/PREPARE'}`);
    const asked = begin(checkoutRequest(checkout, protocol)).catch(() => null);
    await coordinator!.death;
    await Promise.all(([['orders-0', 5], ['payments-0', -5], ['inventory-0', 0.5]] as const).map(([instance, hours]) => setClock(instance, hours)));
    const txid = await eventually('orders has its branch', async () => (await txidOf(cluster, checkout.orderId)) ?? Promise.reject(new Error('none')));
    await eventually('no branch waits any more', async () => expect(await statesOf(cluster, txid)).toEqual(['committed', 'committed', 'committed']), 20_000);
    expect(await effectsOf(cluster, checkout)).toEqual({ order: 'confirmed', held: 0, paid: 1_000, reserved: 0, moved: 1 });
    await coordinator!.start();
    await asked;
    expect(await ended(txid)).toMatchObject({ status: 'committed' });
  }, 60_000);

  it('leaves every invariant whole', async () => {
    await cluster.audit(answers);
  }, 90_000);
});
