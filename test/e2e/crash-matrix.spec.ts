import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { runCell } from '../../tools/crash-matrix/cell.js';
import type { Cell } from '../../tools/crash-matrix/plan.js';
import { World } from '../../tools/crash-matrix/world.js';

// A part of `npm run crash-matrix`: each protocol, each role, each way to go on.

const cell = (point: string, victim: string, mode: Cell['mode'] = 'restart', scenario = 'yes'): Cell => {
  const role = point.split('.')[0] as Cell['role'];
  const protocol = (/:(.*)\//.exec(point)?.[1] ?? '2pc') as Cell['protocol'];
  return { point, victim, mode, scenario, otherwise: [], role, protocol, nth: 1 };
};

const CELLS: readonly Cell[] = [
  cell('coordinator.before.write:2pc/DECIDE', 'coordinator-0'),
  cell('participant.after.write:2pc/BRANCH-prepared', 'payments-0', 'absent'),
  cell('participant.before.save-offsets', 'orders-0'),
  cell('coordinator.after.send:3pc/PRE_COMMIT', 'coordinator-0', 'alone'),
  cell('participant.before.write:3pc/BRANCH-pre-committed', 'inventory-0'),
  cell('coordinator.after.send:paxos-commit/PREPARE', 'coordinator-0', 'alone'),
  cell('acceptor.after.write:paxos-commit/ACCEPTOR', 'witness'),
  cell('leader.before.send:paxos-commit/PHASE_2A', 'orders-0', 'restart', 'silent coordinator'),
  cell('participant.after.write:saga/BRANCH-executed', 'orders-0'),
  cell('coordinator.after.send:saga/COMPENSATE', 'coordinator-0', 'restart', 'no'),
  cell('coordinator.after.write:2pc/DECIDE', 'coordinator-0', 'takeover'),
];

describe('a process that is killed with -9', () => {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'concordat-crash-matrix-'));
  let world: World | undefined;
  beforeAll(async () => { world = await World.start({ adminUrl: process.env.PG_ADMIN_URL!, brokers: process.env.KAFKA_BROKERS!, records: undefined }, folder); }, 180_000);
  afterAll(async () => {
    await world?.end();
    fs.rmSync(folder, { recursive: true, force: true });
  }, 60_000);

  it.each(CELLS.map((one) => [one.victim, one.point, one.mode, one] as const))('%s at %s (%s) loses nothing, and everything ends', async (_victim, _point, _mode, one) => {
    const { verdict, detail, transactions } = await runCell(world!, one);
    expect({ verdict, detail }).toEqual({ verdict: 'passed', detail: '' });
    expect(transactions).toBeGreaterThan(0);
  }, 120_000);

  it('is found out when money is missing afterwards', async () => {
    await world!.cluster.pools.payments.query("UPDATE account SET balance_cents = balance_cents - 1 WHERE customer_id = 'c-9999'");
    const { verdict, detail } = await runCell(world!, cell('participant.after.send:2pc/VOTE', 'inventory-0'));
    expect(verdict).toBe('violated');
    expect(detail).toContain('money is conserved');
  }, 120_000);
});
