import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { pino } from 'pino';
import { makeTxid, type Txid } from '#libs/protocol';
import type { Alert } from '#libs/postgres';
import { Alerts, retryMs } from './alerts.js';
import type { Delivery } from './webhook.js';

const txidOf = (n: number): Txid => makeTxid(0, 1_700_000_000_000 + n, new Uint8Array(8));

interface Stored { alert: Alert; due: boolean; ended: boolean | null }
let stored: Map<Txid, Stored>;
/** Transactions that have come to need attention and of which no alert has been made. */
let needy: Txid[];
let postponed: number[];
let told: string[];
let delivered: Txid[];
let answer: (alert: Alert, stopping: AbortSignal) => Promise<Delivery>;
let waiting: number;
let away: boolean;
let alerts: Alerts;

/** Another instance, or this one after a restart, over the same outbox. */
function instance(): Alerts {
  const outbox = {
    collect: async () => {
      if (away) throw new Error('the database is away');
      for (const txid of needy.splice(0)) stored.set(txid, { alert: { txid, protocol: 'saga', data: {}, createdAtMs: 0, ageMs: 0, attempts: 0 }, due: true, ended: null });
      return 0;
    },
    claim: async (limit: number) => {
      const due = [...stored.values()].filter((one) => one.due && one.ended === null).slice(0, limit);
      for (const one of due) {
        one.due = false;
        one.alert = { ...one.alert, attempts: one.alert.attempts + 1 };
      }
      return due.map((one) => one.alert);
    },
    postpone: async (_txid: Txid, byMs: number) => { postponed.push(byMs); },
    end: async (txid: Txid, success: boolean) => { stored.get(txid)!.ended = success; },
    waiting: async () => [...stored.values()].filter((one) => one.ended === null).length,
    clean: async () => undefined,
  };
  return new Alerts({
    outbox, deliver: (alert, stopping) => { delivered.push(alert.txid); return answer(alert, stopping); },
    told: (result) => told.push(result), waiting: (n) => { waiting = n; }, logger: pino({ level: 'silent' }),
  });
}

beforeEach(() => {
  [stored, needy, postponed, told, delivered, waiting, away] = [new Map(), [], [], [], [], -1, false];
  answer = async () => ({ kind: 'delivered' });
  alerts = instance();
});
afterEach(() => alerts.stop());

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 2));
}

describe('alerts', () => {
  it('of what needs a person already are sent at the start, whoever has left them', async () => {
    needy = [txidOf(1), txidOf(2)];
    alerts.start();
    await until(() => waiting === 0);
    expect(delivered).toEqual([txidOf(1), txidOf(2)]);
    expect(told).toEqual(['delivered', 'delivered']);
  });

  it('are sent as soon as something comes to need a person, each once', async () => {
    alerts.start();
    await until(() => waiting === 0);
    needy = [txidOf(1)];
    alerts.wake();
    await until(() => told.length === 1);
    alerts.wake();
    await until(() => waiting === 0);
    expect(delivered).toEqual([txidOf(1)]);
  });

  it('that are not taken are sent again later, and counted', async () => {
    needy = [txidOf(1)];
    answer = async () => ({ kind: 'failed', why: 'HTTP 500' });
    alerts.start();
    await until(() => waiting === 1);
    expect([told, postponed.length, stored.get(txidOf(1))!.ended]).toEqual([['failed'], 1, null]);
    stored.get(txidOf(1))!.due = true;
    answer = async () => ({ kind: 'delivered' });
    alerts.wake();
    await until(() => waiting === 0);
    expect(delivered).toEqual([txidOf(1), txidOf(1)]);
  });

  it.each<[string, Partial<Alert>, Delivery]>([
    ['whose receiver wants no more of them', {}, { kind: 'gone', why: 'HTTP 410' }],
    ['that nobody has taken for a day', { ageMs: 24 * 3_600_000 }, { kind: 'failed', why: 'HTTP 500' }],
  ])('%s are given up', async (_what, over, delivery) => {
    stored.set(txidOf(1), { alert: { txid: txidOf(1), protocol: 'saga', data: {}, createdAtMs: 0, ageMs: 0, attempts: 5, ...over }, due: true, ended: null });
    answer = async () => delivery;
    alerts.start();
    await until(() => waiting === 0);
    expect([told, stored.get(txidOf(1))!.ended]).toEqual([['given-up'], false]);
  });

  it('that are under way when an instance stops are left to another one', async () => {
    needy = [txidOf(1)];
    answer = (_alert, stopping) => new Promise((resolve) => { stopping.addEventListener('abort', () => resolve({ kind: 'failed', why: 'AbortError' })); });
    alerts.start();
    await until(() => delivered.length === 1);
    await alerts.stop();
    expect(stored.get(txidOf(1))!.ended).toBeNull();
    stored.get(txidOf(1))!.due = true;
    answer = async () => ({ kind: 'delivered' });
    alerts = instance();
    alerts.start();
    await until(() => waiting === 0);
    expect(delivered).toEqual([txidOf(1), txidOf(1)]);
  });

  it('wait for a database that is away', async () => {
    needy = [txidOf(1)];
    away = true;
    alerts.start();
    await new Promise((resolve) => setImmediate(resolve));
    away = false;
    alerts.wake();
    await until(() => waiting === 0);
    expect(delivered).toEqual([txidOf(1)]);
  });

  it('are more than one round holds', async () => {
    needy = Array.from({ length: 25 }, (_, n) => txidOf(n));
    alerts.start();
    await until(() => delivered.length === 25);
  });
});

describe('the pause before the next attempt', () => {
  it('doubles up to five minutes, less up to a half', () => {
    expect([1, 2, 3, 4].map((n) => retryMs(n, 0))).toEqual([1_000, 2_000, 4_000, 8_000]);
    expect([retryMs(3, 1), retryMs(60, 0)]).toEqual([2_000, 300_000]);
    for (let n = 1; n < 100; n++) expect(retryMs(n)).toBeGreaterThanOrEqual(500);
  });
});
