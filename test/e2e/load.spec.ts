import { spawn } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { auditFilled, makeAuditedViews } from '../../tools/load/filled-audit.ts';
import { fill, type Filled, runPattern } from '../../tools/load/fill.ts';
import type { LoadReport } from '../../tools/load/report-types.ts';
import { Cluster } from '../support/cluster.js';

const LOAD = fileURLToPath(new URL('../../tools/load.mjs', import.meta.url));

let cluster: Cluster;
let folder: string;
beforeAll(async () => {
  folder = fs.mkdtempSync(path.join(os.tmpdir(), 'concordat-load-spec-'));
  cluster = await Cluster.start({ adminUrl: process.env.PG_ADMIN_URL!, brokers: process.env.KAFKA_BROKERS! });
}, 120_000);
afterAll(async () => {
  await cluster?.stop();
  fs.rmSync(folder, { recursive: true, force: true });
}, 60_000);

/** The command at the cluster, with its tables to audit. */
async function load(...args: readonly string[]): Promise<{ readonly code: number | null; readonly out: string; readonly said: string }> {
  const { coordinator, orders, payments, inventory } = cluster.pools;
  const urls = Object.entries({ coordinator, orders, payments, inventory }).map(([name, pool]) => [`${name.toUpperCase()}_DATABASE_URL`, (pool.options as { connectionString?: string }).connectionString!]);
  const env = { PATH: process.env.PATH, ...Object.fromEntries(urls), CONCORDAT_TOKEN: cluster.tokens.submit, CONCORDAT_READ_TOKEN: cluster.tokens.read };
  const child = spawn(process.execPath, [LOAD, '--url', cluster.url, '--clients', '8', '--warmup', '1', '--seconds', '2', ...args], { env, stdio: ['ignore', 'pipe', 'pipe'] });
  const [out, said, code] = await Promise.all([text(child.stdout), text(child.stderr), new Promise<number | null>((resolve) => child.once('close', resolve))]);
  return { code, out, said };
}

describe('npm run load', () => {
  it('tells what it has measured, and that the books balance', async () => {
    const { code, out, said } = await load('--json');
    expect([code, code === 0 ? '' : said]).toEqual([0, '']);
    const { runs: [run] } = JSON.parse(out) as LoadReport;
    expect(run!.perSecond).toBeGreaterThan(0);
    expect(run!.endings).toMatchObject({ aborted: 0, refused: 0, unknown: 0 });
    expect(run!.latency.count).toBe(run!.endings.committed);
    expect(run!.phases!.map(({ name }) => name)).toEqual(['queue', 'prepare', 'vote', 'decision', 'delivery']);
    expect(run!.audit.filter(({ holds }) => !holds)).toEqual([]);
    expect(run!.audit.map(({ name }) => name)).toContain('money is conserved');
  }, 60_000);

  it('prints no figure of a run whose books do not balance, and says what is wrong', async () => {
    const [json, html] = [path.join(folder, 'broken.json'), path.join(folder, 'broken.html')];
    await cluster.pools.payments.query("UPDATE account SET balance_cents = balance_cents + 1 WHERE customer_id = 'c-1'");
    const { code, out } = await load('--drain', '1', '--json', json, '--html', html).finally(() => cluster.pools.payments.query("UPDATE account SET balance_cents = balance_cents - 1 WHERE customer_id = 'c-1'"));
    expect(code).toBe(1);
    expect(out).toMatch(/AUDIT FAILS[^]*money is conserved: free \d+/);
    expect(out).not.toMatch(/p50|per second|\d\/s/);
    const { runs: [run] } = JSON.parse(fs.readFileSync(json, 'utf8')) as LoadReport;
    expect([run!.perSecond, run!.latency.count, run!.endings.committed, run!.bySecond, run!.phases]).toEqual([0, 0, 0, [], null]);
    const page = fs.readFileSync(html, 'utf8');
    expect(page).toContain('there are no figures of it');
    expect(page).not.toMatch(/<svg|\d\/s/);
  }, 60_000);
});

describe('a store that is filled', () => {
  let filled: Filled;
  beforeAll(async () => {
    const pattern = await runPattern(cluster.url, cluster.tokens.submit, cluster.pools.coordinator);
    await Promise.all(cluster.processes().map((process) => process.stop()));
    filled = await fill(cluster.pools, pattern, { finished: 300, unfinished: 41 }, () => undefined);
    await Promise.all(cluster.processes().map((process) => process.start()));
  }, 120_000);

  it('is that of transactions which have run: after the unfinished ones are resumed, the whole audit holds', async () => {
    const { checks, transactions } = await cluster.audit();
    expect(checks.filter(({ ok }) => !ok)).toEqual([]);
    expect(transactions.aborted).toBe(21);
    const { rows } = await cluster.pools.orders.query("SELECT status, count(*)::int AS n FROM orders WHERE starts_with(id, 'decided-') OR starts_with(id, 'undecided-') GROUP BY status ORDER BY status");
    expect(rows).toEqual([{ status: 'confirmed', n: 20 }, { status: 'rejected', n: 21 }]);
  }, 90_000);

  it('holds by its digests, until a row of it is changed', async () => {
    await makeAuditedViews(cluster.pools, filled);
    const { rows: [count] } = await cluster.pools.coordinator.query('SELECT (SELECT count(*) FROM tx_begin)::int AS all, (SELECT count(*) FROM load_audited.tx_begin)::int AS seen');
    expect(count.all - count.seen).toBe(300);
    const broken = async (): Promise<readonly string[]> => (await auditFilled(cluster.pools, filled)).filter(({ holds }) => !holds).map(({ detail }) => detail);
    expect(await broken()).toEqual([]);
    const { payments, inventory, coordinator } = cluster.pools;
    await payments.query("UPDATE concordat_branch SET state = 'aborted' WHERE txid = (SELECT txid FROM concordat_branch ORDER BY txid LIMIT 1)");
    expect(await broken()).toEqual(['payments.concordat_branch has 299 of 300; payments.concordat_branch has 1 that are not committed']);
    await payments.query("UPDATE concordat_branch SET state = 'committed' WHERE txid = (SELECT txid FROM concordat_branch ORDER BY txid LIMIT 1)");
    await inventory.query("UPDATE stock_movement SET quantity = 2 WHERE order_id = 'filled-000000007'");
    expect(await broken()).toEqual(['inventory.stock_movement has 300 of 300, but others than orders.orders']);
    await inventory.query("UPDATE stock_movement SET quantity = 1 WHERE order_id = 'filled-000000007'");
    await coordinator.query('DELETE FROM tx_end WHERE txid = (SELECT txid FROM tx_end ORDER BY txid LIMIT 1)');
    expect(await broken()).toEqual(['coordinator.tx_end has 299 of 300']);
  }, 60_000);
});
