import { afterEach, describe, expect, it } from '@jest/globals';
import { Cluster } from '../support/cluster.js';
import { milestones, runCheckouts } from '../support/traffic.js';

let cluster: Cluster | undefined;
afterEach(async () => { await cluster?.stop(); }, 60_000);

const servers = () => ({ adminUrl: process.env.PG_ADMIN_URL!, brokers: process.env.KAFKA_BROKERS! });

describe('2,000 concurrent checkouts with 10% refusals', () => {
  it('survive a kill -9 of each participant and of the coordinator', async () => {
    cluster = await Cluster.start(servers());
    const { orders, payments, inventory } = cluster.services;
    const coordinator = cluster.coordinators[0]!;
    const marks = milestones([100, 300, 500, 700]);
    let answered = 0;
    const traffic = runCheckouts(cluster, 2000, (n) => { answered = n; marks.reached(n); });
    const answeredAtKill: number[] = [];
    for (const [i, victim] of [orders, payments, inventory, coordinator].entries()) {
      await Promise.race([marks.at[i], traffic]);
      answeredAtKill.push(answered);
      await victim.kill9();
      victim.spawn();
    }
    const report = await traffic;

    // Otherwise nothing was under way that a kill could have broken.
    expect(Math.max(...answeredAtKill)).toBeLessThan(1900);
    expect(report.answers.size).toBe(2000);
    expect(report.wronglyCommitted).toEqual([]);
    expect(report.committed).toBeGreaterThan(0);
    expect(report.aborted).toBeGreaterThanOrEqual(200);
    const audit = await cluster.audit(report.answers);
    process.stdout.write(`crash: ${JSON.stringify({ answeredAtKill, committed: report.committed, reasons: report.reasons, lostAtFirst: report.lostAtFirst, total: audit.transactions.total })}\n`);
  }, 240_000);

  it('survive the loss of one of two coordinators for good: the other takes its shards over', async () => {
    cluster = await Cluster.start({ ...servers(), coordinators: 2 });
    const [lost, survivor] = cluster.coordinators as [typeof cluster.coordinators[0], typeof cluster.coordinators[0]];
    const marks = milestones([300]);
    let answered = 0;
    const traffic = runCheckouts(cluster, 2000, (n) => { answered = n; marks.reached(n); });
    await marks.at[0];
    await lost!.kill9();
    const killedAt = Date.now();
    expect(answered).toBeLessThan(1900);
    let takenOverMs = 0;
    while (takenOverMs === 0) {
      const { body } = await cluster.call('GET', '/v1/shards', { role: 'read', url: survivor!.url });
      if ((body.shards as { owner: string }[]).every((s) => s.owner === 'coordinator-1')) takenOverMs = Date.now() - killedAt;
      else if (Date.now() - killedAt > 60_000) throw new Error(`not taken over: ${JSON.stringify(body)}\n${cluster.logs()}`);
      else await new Promise((resolve) => setTimeout(resolve, 50));
    }
    const report = await traffic;

    expect(report.answers.size).toBe(2000);
    expect(report.wronglyCommitted).toEqual([]);
    await cluster.audit(report.answers);
    process.stdout.write(`takeover: ${JSON.stringify({ takenOverMs, committed: report.committed, reasons: report.reasons, lostAtFirst: report.lostAtFirst })}\n`);
  }, 240_000);
});
