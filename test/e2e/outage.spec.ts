import { afterAll, beforeAll, expect, it } from '@jest/globals';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { startStack } from '../../tools/stack.js';
import { checkoutRequest } from '../support/checkout.js';
import { Cluster } from '../support/cluster.js';
import { eventually } from '../support/eventually.js';
import { milestones, runCheckouts } from '../support/traffic.js';

// Servers of its own, because they are taken down.
let stack: Awaited<ReturnType<typeof startStack>>;
let cluster: Cluster;
const dataDir = fs.mkdtempSync(path.join(os.tmpdir(), 'concordat-outage-'));

beforeAll(async () => {
  stack = await startStack({ dataDir, kafka: true, log: () => undefined });
  cluster = await Cluster.start({ adminUrl: stack.postgres.adminUrl, brokers: stack.kafka!.brokers });
}, 180_000);
afterAll(async () => {
  await cluster?.stop();
  await stack?.stop();
  fs.rmSync(dataDir, { recursive: true, force: true });
}, 60_000);

it('Postgres, then Kafka, restarted under load: nothing is lost and everything ends', async () => {
  const marks = milestones([200, 800]);
  let answered = 0;
  const traffic = runCheckouts(cluster, 2000, (n) => { answered = n; marks.reached(n); });
  await marks.at[0];
  await stack.postgres.stop();
  await stack.postgres.start();
  await marks.at[1];
  expect(answered).toBeLessThan(1900);
  await stack.kafka!.kill9();
  await stack.kafka!.start();
  const report = await traffic;
  expect(report.answers.size).toBe(2000);
  expect(report.wronglyCommitted).toEqual([]);
  await cluster.audit(report.answers, 90_000);
}, 240_000);

it.each(['postgres', 'kafka'] as const)('while %s is down requests get 503 with Retry-After, and work resumes by itself', async (server) => {
  await stack[server]!.stop();
  try {
    await eventually('refused with 503', async () => {
      const { status, headers, body } = await cluster.call('POST', '/v1/transactions', { body: checkoutRequest(), role: 'submit', headers: { prefer: 'wait=1' } });
      expect({ status, code: typeof body.code }).toEqual({ status: 503, code: 'string' });
      expect(Number(headers.get('retry-after'))).toBeGreaterThan(0);
      expect((await cluster.call('GET', '/health/ready', { role: null })).status).toBe(503);
    });
  } finally {
    await stack[server]!.start();
  }
  await eventually('commits again', async () => {
    const { status, body } = await cluster.call('POST', '/v1/transactions', { body: checkoutRequest(), role: 'submit' });
    expect([status, body.status]).toEqual([200, 'committed']);
  });
  await cluster.audit();
}, 180_000);
