import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { type Counters, costOf, segmentBytes } from './counters.js';
import { Sampler } from './sampler.js';

const ZERO: Counters = { flushes: 0, databaseTransactions: 0, walSyncs: 0, walBytes: 0, kafkaBytes: 0 };

let proc: string;
let flushes: number;
beforeEach(() => {
  proc = fs.mkdtempSync(path.join(os.tmpdir(), 'concordat-sampler-'));
  flushes = 0;
});
afterEach(() => fs.rmSync(proc, { recursive: true, force: true }));

function orders(pid: number, ticks: number, megabytes: number): void {
  fs.mkdirSync(path.join(proc, String(pid)), { recursive: true });
  fs.writeFileSync(path.join(proc, String(pid), 'stat'), `${pid} (node) S 1 1 1 0 -1 0 0 0 0 0 ${ticks} 0 0 0 20 0 1 0`);
  fs.writeFileSync(path.join(proc, String(pid), 'status'), `RssAnon:\t${megabytes * 1024} kB\n`);
}

function sampler(pid: () => number, seconds = 2): Sampler {
  return new Sampler({ pids: () => new Map([['orders', pid()]]), counters: () => Promise.resolve({ ...ZERO, flushes }), proc }, seconds);
}

const second = (n: number) => ({ kind: 'progress', second: n, ended: 0, refused: 0, p50Ms: null, p99Ms: null, outstanding: 0 }) as const;

describe('the samples of a run', () => {
  it('leave the warm-up and the drain out', async () => {
    const sampled = sampler(() => 10);
    orders(10, 100, 50);
    sampled.started();
    orders(10, 300, 900);
    flushes = 70;
    sampled.progressed(second(-2));
    sampled.progressed(second(-1));
    orders(10, 400, 80);
    sampled.progressed(second(0));
    orders(10, 500, 60);
    flushes = 100;
    sampled.progressed(second(1));
    orders(10, 9_000, 990);
    flushes = 999;
    sampled.progressed(second(2));
    const { processes, counters, restarted } = await sampled.result(1_000);
    expect(processes).toEqual([{ name: 'orders', cpuSeconds: 2, cpuMsPerTransaction: 2, rssMbMost: 80 }]);
    expect(counters).toMatchObject({ before: { flushes: 70 }, after: { flushes: 100 } });
    expect(restarted).toEqual([]);
  });

  it('begin with the generators when there is no warm-up', async () => {
    const sampled = sampler(() => 10, 1);
    orders(10, 100, 50);
    sampled.started();
    orders(10, 150, 50);
    sampled.progressed(second(0));
    expect((await sampled.result(10)).processes).toMatchObject([{ cpuSeconds: 0.5 }]);
  });

  it('name a process that was started again meanwhile', async () => {
    let pid = 10;
    const sampled = sampler(() => pid, 1);
    orders(10, 100, 50);
    sampled.started();
    pid = 11;
    orders(11, 5, 50);
    sampled.progressed(second(0));
    expect((await sampled.result(10)).restarted).toEqual(['orders']);
  });

  it('do without the counters of servers that do not answer', async () => {
    const sampled = new Sampler({ pids: () => new Map([['orders', 10]]), counters: () => Promise.reject(new Error('busy')), proc }, 1);
    orders(10, 100, 50);
    sampled.started();
    sampled.progressed(second(0));
    const { counters, processes } = await sampled.result(10);
    expect(counters).toBeNull();
    expect(processes).toHaveLength(1);
  });

  it('tell nothing of a run that was not measured to its end', async () => {
    const sampled = sampler(() => 10);
    orders(10, 100, 50);
    sampled.started();
    sampled.progressed(second(0));
    expect(await sampled.result(10)).toEqual({ processes: [], counters: null, restarted: [] });
  });
});

describe('the cost of a transaction', () => {
  it('is what was counted meanwhile, divided', () => {
    const after = { flushes: 110, databaseTransactions: 30, walSyncs: 20, walBytes: 50_000, kafkaBytes: 4_000 };
    expect(costOf({ ...ZERO, flushes: 10 }, after, 10)).toEqual({ coordinatorFlushes: 10, databaseTransactions: 3, walSyncs: 2, walBytes: 5_000, kafkaBytes: 400 });
  });

  it('is not known of none', () => {
    expect(costOf(ZERO, ZERO, 0)).toBeNull();
  });

  it('counts what Kafka has written to the segments of all partitions, and not their indexes', () => {
    fs.mkdirSync(path.join(proc, 'inbox-0'));
    fs.writeFileSync(path.join(proc, 'inbox-0', '00000000000000000000.log'), Buffer.alloc(100));
    fs.writeFileSync(path.join(proc, 'inbox-0', '00000000000000000100.log'), Buffer.alloc(20));
    fs.writeFileSync(path.join(proc, 'inbox-0', '00000000000000000000.index'), Buffer.alloc(10_000));
    expect(segmentBytes(proc)).toBe(120);
  });
});
