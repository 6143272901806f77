import { describe, expect, it } from '@jest/globals';
import { describeFault, type Fault, KINDS, makeSchedule, PROCESSES } from './schedule.js';

const schedule = (seed: number, minutes = 20, kinds = KINDS as readonly (typeof KINDS)[number][]): readonly Fault[] => makeSchedule({ seed, minutes, kinds });
const many = Array.from({ length: 50 }, (_, seed) => schedule(seed));

/** Processes, servers and connections that a fault hits. */
function hits(fault: Fault): readonly string[] {
  if (fault.kind === 'server') return [fault.server!];
  return fault.server === null ? fault.processes : fault.processes.map((process) => `${process}/${fault.server}`);
}

describe('a schedule of faults', () => {
  it('is a function of the seed', () => {
    expect(schedule(7)).toEqual(schedule(7));
    expect(schedule(7)).not.toEqual(schedule(8));
  });

  it('is told in the order of its times, numbered, and leaves the beginning and the end of the run quiet', () => {
    for (const faults of many) {
      expect(faults.map((f) => f.n)).toEqual(faults.map((_, i) => i + 1));
      expect(faults.map((f) => f.atMs)).toEqual(faults.map((f) => f.atMs).toSorted((a, b) => a - b));
      expect(faults[0]!.atMs).toBeGreaterThanOrEqual(8_000);
      for (const fault of faults) expect(fault.atMs + fault.forMs).toBeLessThanOrEqual(20 * 60_000 - 10_000);
    }
  });

  it('has about four faults in a minute', () => {
    const perMinute = many.reduce((sum, faults) => sum + faults.length, 0) / (many.length * 20);
    expect(perMinute).toBeGreaterThan(3);
    expect(perMinute).toBeLessThan(7);
  });

  it('never does two things to the same process, server or connection at the same time', () => {
    for (const faults of many) {
      for (const [i, fault] of faults.entries()) {
        for (const other of faults.slice(i + 1).filter((o) => o.atMs <= fault.atMs + fault.forMs)) {
          expect(hits(fault).filter((resource) => hits(other).includes(resource))).toEqual([]);
        }
      }
    }
  });

  it('does in some run everything that it can do, and often several things at once', () => {
    const all = many.flat();
    expect(new Set(all.map((f) => f.kind))).toEqual(new Set(KINDS));
    expect(new Set(all.flatMap((f) => f.processes))).toEqual(new Set(PROCESSES));
    expect(new Set(all.filter((f) => f.kind === 'server').map((f) => `${f.server} ${f.how}`))).toEqual(new Set(['postgres fast', 'postgres immediate', 'postgres kill-9', 'kafka clean', 'kafka kill-9']));
    for (const kind of ['cut', 'freeze', 'delay']) expect(new Set(all.filter((f) => f.kind === kind).map((f) => f.server))).toEqual(new Set(['postgres', 'kafka']));
    expect(all.some((f) => f.kind === 'stop' && f.forMs > 5_000)).toBe(true);
    expect(many.every((faults) => faults.some((f, i) => i > 0 && f.atMs < faults[i - 1]!.atMs + faults[i - 1]!.forMs))).toBe(true);
  });

  it('kills everything together once: all processes and both servers', () => {
    for (const faults of many) {
      const all = faults.filter((f) => f.kind === 'kill' && f.processes.length === PROCESSES.length);
      const together = all.filter((kill) => ['postgres', 'kafka'].every((server) => faults.some((f) => f.kind === 'server' && f.server === server && f.how === 'kill-9' && Math.abs(f.atMs - kill.atMs) <= 3_000)));
      expect(together.length).toBeGreaterThanOrEqual(1);
    }
  });

  it('keeps to the kinds that are asked for', () => {
    expect(new Set(schedule(3, 20, ['stop', 'cut']).map((f) => f.kind))).toEqual(new Set(['stop', 'cut']));
  });

  it('tells each fault in words', () => {
    expect(describeFault({ kind: 'freeze', processes: PROCESSES, server: 'kafka', how: null, delayMs: null, forMs: 2_000 })).toBe("everyone's connections to kafka frozen for 2.0 s");
    expect(describeFault({ kind: 'kill', processes: ['orders-1'], server: null, how: null, delayMs: null, forMs: 0 })).toBe('kill -9 orders-1, started again after 0.0 s');
  });
});
