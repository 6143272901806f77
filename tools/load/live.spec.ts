import { describe, expect, it } from '@jest/globals';
import type { Progress } from '../../apps/loadtest/src/contract.js';
import { lineOf, LiveView } from './live.js';

const SETTINGS = { seconds: 20, warmupSeconds: 5 };
const progress = (second: number, part: Partial<Progress> = {}): Progress => ({ kind: 'progress', second, ended: 1_000, refused: 0, p50Ms: 10, p99Ms: 30, outstanding: 64, ...part });

function watched(isTerminal: boolean): { readonly lines: string[]; readonly view: LiveView } {
  const lines: string[] = [];
  return { lines, view: new LiveView({ name: '2pc, sdk, 64 clients', run: 2, of: 8 }, SETTINGS, { say: (line) => lines.push(line), isTerminal }) };
}

describe('what is seen of a run', () => {
  it('is a line a second on a terminal', () => {
    const { lines, view } = watched(true);
    for (const second of [-5, -4, 0, 1]) view.progressed(progress(second));
    expect(lines).toHaveLength(4);
    expect(lines[3]).toBe('run 2 of 8: 2pc, sdk, 64 clients  2/20 s (28 %)  1,000/s  p50 10.0 ms  p99 30.0 ms  refused 0/s  open 64');
  });

  it('is a line for ten seconds elsewhere, and one at the end of the warm-up and of the measured time', () => {
    const { lines, view } = watched(false);
    for (let second = -5; second < 20; second++) view.progressed(progress(second));
    expect(lines.map((line) => /  (.*?) \(/.exec(line)![1])).toEqual(['warm-up 5/5 s', '10/20 s', '20/20 s']);
  });

  it('counts to the end of a warm-up that is shorter than it might be', () => {
    const { lines, view } = watched(true);
    view.progressed(progress(-5));
    view.warmsUpFor(2);
    view.progressed(progress(-1));
    expect(lines.map((line) => /  (.*?) \(/.exec(line)![1])).toEqual(['warm-up 1/5 s', 'warm-up 2/2 s']);
  });

  it('has the mean of what ended and the worst of the percentiles', () => {
    expect(lineOf([progress(0, { ended: 100, p99Ms: 50, p50Ms: null }), progress(1, { ended: 300, p99Ms: 20 })], SETTINGS)).toBe('2/20 s (28 %)  200/s  p50 10.0 ms  p99 50.0 ms  refused 0/s  open 64');
  });

  it('says when only answers are missing, and when there were none', () => {
    expect(lineOf([progress(21, { ended: 0, p50Ms: null, p99Ms: null, outstanding: 3 })], SETTINGS)).toBe('waiting for the last answers (100 %)  0/s  p50 - ms  p99 - ms  refused 0/s  open 3');
  });
});
