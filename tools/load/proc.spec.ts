import { afterAll, describe, expect, it } from '@jest/globals';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { useOf } from './proc.js';

const proc = fs.mkdtempSync(path.join(os.tmpdir(), 'concordat-proc-'));
afterAll(() => fs.rmSync(proc, { recursive: true, force: true }));

/** Ticks of 10 ms: user, system, and both of children that have ended. */
function aProcess(pid: number, parent: number, ticks: readonly [number, number, number, number], kilobytes: { anon: number; file: number; shmem: number }): void {
  fs.mkdirSync(path.join(proc, String(pid)));
  fs.writeFileSync(path.join(proc, String(pid), 'stat'), `${pid} (a (strange) name) S ${parent} 1 1 0 -1 0 0 0 0 0 ${ticks.join(' ')} 20 0 1 0`);
  fs.writeFileSync(path.join(proc, String(pid), 'status'), `Name:\tx\nRssAnon:\t   ${kilobytes.anon} kB\nRssFile:\t${kilobytes.file} kB\nRssShmem:\t${kilobytes.shmem} kB\n`);
}

aProcess(10, 1, [100, 50, 20, 30], { anon: 1024, file: 2048, shmem: 0 });
aProcess(11, 10, [200, 0, 0, 0], { anon: 1024, file: 1024, shmem: 4096 });
aProcess(12, 11, [0, 100, 0, 0], { anon: 1024, file: 0, shmem: 0 });
aProcess(20, 1, [1, 0, 0, 0], { anon: 512, file: 512, shmem: 0 });

describe('what processes use', () => {
  it('is that of all below them, too, ended ones included', () => {
    expect(useOf(new Map([['postgres', 10]]), proc).get('postgres')!.cpuSeconds).toBe(5);
  });

  it('counts memory once that the processes of a tree share', () => {
    expect(useOf(new Map([['postgres', 10]]), proc).get('postgres')!.rssMb).toBe(3 + 5);
    expect(useOf(new Map([['orders', 20]]), proc).get('orders')!.rssMb).toBe(1);
  });

  it('leaves out who has ended, and everybody where there is no /proc', () => {
    expect([...useOf(new Map([['orders', 20], ['gone', 99]]), proc).keys()]).toEqual(['orders']);
    expect(useOf(new Map([['orders', 20]]), path.join(proc, 'none')).size).toBe(0);
  });

  it('is known of this process on Linux', () => {
    const own = useOf(new Map([['self', process.pid]])).get('self');
    if (fs.existsSync('/proc/self/stat')) expect(own!.rssMb).toBeGreaterThan(1);
    else expect(own).toBeUndefined();
  });
});
