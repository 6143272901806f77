import { describe, expect, it } from '@jest/globals';
import { decodeFromCompressedBase64 } from 'hdr-histogram-js';
import type { Progress, Result } from './contract.js';
import { Recorder, type RecorderOptions } from './recorder.js';
import type { Attempted } from './ways/way.js';

const committed = (txid = 'tx'): Attempted => ({ ending: 'committed', reason: null, txid, outcome: 'committed' });
const aborted = (reason: string | null, outcome = 'aborted'): Attempted => ({ ending: 'aborted', reason, txid: 'tx', outcome });
const without = (ending: 'refused' | 'unknown', reason: string): Attempted => ({ ending, reason, txid: null, outcome: null });

/** Two seconds of warm-up, ten measured ones. */
function recording(options: Partial<RecorderOptions> = {}): { recorder: Recorder; seconds: Progress[]; attempt(attempted: Attempted, dueMs: number, atMs: number): void } {
  const seconds: Progress[] = [];
  const recorder = new Recorder({ loop: 'open', warmupSeconds: 2, seconds: 10, onSecond: (progress) => { seconds.push(progress); }, ...options });
  const attempt = (attempted: Attempted, dueMs: number, atMs: number): void => {
    recorder.began(dueMs, dueMs);
    recorder.ended(attempted, dueMs, atMs);
  };
  return { recorder, seconds, attempt };
}

const latenciesOf = (result: Result): readonly number[] => {
  const histogram = decodeFromCompressedBase64(result.histogram, 32);
  return [histogram.totalCount, histogram.maxValue / 1000];
};

describe('the record of an open loop', () => {
  it('counts what was to start in the measured time, whenever it ended', () => {
    const { recorder, attempt } = recording();
    attempt(committed(), 1_999, 2_001);
    attempt(committed(), 2_000, 2_005);
    attempt(committed(), 11_999, 30_000);
    const result = recorder.result(30_000);
    expect(result.endings.committed).toBe(2);
    expect(result.seconds).toBe(10);
  });

  it('takes the latency from when it was to start, not from when it did', () => {
    const { recorder } = recording();
    recorder.began(3_000, 4_500);
    recorder.ended(committed(), 3_000, 5_000);
    const result = recorder.result(12_000);
    expect(latenciesOf(result)).toEqual([1, expect.closeTo(2_000, -1)]);
    expect(result.latestStartMs).toBe(1_500);
  });

  it('does not hold the warm-up against the generator', () => {
    const { recorder } = recording();
    recorder.began(0, 900);
    recorder.ended(committed(), 0, 1_000);
    expect(recorder.result(12_000).latestStartMs).toBe(0);
  });

  it('counts what was shed in the measured time', () => {
    const { recorder } = recording();
    for (const dueMs of [1_000, 2_000, 3_000]) recorder.shed(dueMs);
    expect(recorder.result(12_000).endings.shed).toBe(2);
  });
});

describe('a warm-up that may be shorter', () => {
  const long = { warmupSeconds: 20 };

  it('ends after so many seconds, and is numbered so', () => {
    const { recorder, seconds, attempt } = recording(long);
    recorder.advance(4_100);
    expect(recorder.measureAfter(6, 4_200)).toBe(6);
    attempt(committed(), 5_999, 6_500);
    attempt(committed(), 6_000, 6_500);
    attempt(committed(), 15_999, 16_000);
    attempt(committed(), 16_000, 16_001);
    const result = recorder.result(17_000);
    expect(seconds.slice(0, 8).map(({ second }) => second)).toEqual([-20, -19, -18, -17, -2, -1, 0, 1]);
    expect(result.endings.committed).toBe(2);
    expect(result.bySecond.slice(0, 2).map(({ second, ended }) => [second, ended])).toEqual([[0, 2], [1, 0]]);
  });

  it('that is told too late ends with the second that goes on', () => {
    const { recorder, seconds } = recording(long);
    expect(recorder.measureAfter(3, 7_500)).toBe(8);
    recorder.advance(9_000);
    expect(seconds.slice(-2).map(({ second }) => second)).toEqual([-1, 0]);
  });

  it('is over when it is over, and becomes no longer', () => {
    const { recorder } = recording(long);
    expect([recorder.measureAfter(20, 1_000), recorder.measureAfter(30, 1_000), recorder.measureAfter(3, 19_500), recorder.measureAfter(3, 21_000)]).toEqual([20, 20, 20, 20]);
  });
});

describe('the record of a closed loop', () => {
  it('counts what ended in the measured time, and what was unknown after it', () => {
    const { recorder, attempt } = recording({ loop: 'closed' });
    attempt(committed(), 1_000, 2_000);
    attempt(committed(), 11_000, 12_000);
    attempt(without('unknown', 'ANSWER_LOST'), 11_000, 21_000);
    attempt(without('unknown', 'ANSWER_LOST'), 0, 1_000);
    expect(recorder.result(21_000).endings).toEqual({ committed: 1, aborted: 0, refused: 0, unknown: 1, shed: 0 });
  });
});

describe('the record of a run', () => {
  it('says why not, by code', () => {
    const { recorder, attempt } = recording();
    for (const attempted of [aborted('UNKNOWN_SKU'), aborted('UNKNOWN_SKU'), aborted(null), without('refused', 'OVERLOADED'), without('unknown', 'ANSWER_LOST'), committed()]) attempt(attempted, 3_000, 3_001);
    expect(recorder.result(12_000).reasons).toEqual({ UNKNOWN_SKU: 2, NO_REASON: 1, OVERLOADED: 1, ANSWER_LOST: 1 });
  });

  it('has latencies of decided ones alone: a quick refusal makes nothing faster', () => {
    const { recorder, attempt } = recording();
    attempt(without('refused', 'OVERLOADED'), 3_000, 3_001);
    attempt(without('unknown', 'ANSWER_LOST'), 3_000, 13_000);
    attempt(aborted('UNKNOWN_SKU'), 3_000, 3_010);
    expect(latenciesOf(recorder.result(13_000))).toEqual([1, expect.closeTo(10, 1)]);
  });

  it('is told second by second, from the warm-up on, the empty ones too', () => {
    const { recorder, seconds, attempt } = recording();
    attempt(committed(), 500, 510);
    recorder.began(0, 0);
    recorder.advance(3_999);
    attempt(committed(), 4_000, 4_020);
    attempt(without('refused', 'OVERLOADED'), 4_000, 4_020);
    recorder.advance(5_000);
    expect(seconds).toEqual([
      { kind: 'progress', second: -2, ended: 1, refused: 0, p50Ms: expect.closeTo(10, 0), p99Ms: expect.closeTo(10, 0), outstanding: 1 },
      { kind: 'progress', second: -1, ended: 0, refused: 0, p50Ms: null, p99Ms: null, outstanding: 1 },
      { kind: 'progress', second: 0, ended: 0, refused: 0, p50Ms: null, p99Ms: null, outstanding: 1 },
      { kind: 'progress', second: 1, ended: 0, refused: 0, p50Ms: null, p99Ms: null, outstanding: 1 },
      { kind: 'progress', second: 2, ended: 1, refused: 1, p50Ms: expect.closeTo(20, 0), p99Ms: expect.closeTo(20, 0), outstanding: 1 },
    ]);
    expect(recorder.result(5_000).bySecond.map((row) => [row.second, row.ended])).toEqual([[0, 0], [1, 0], [2, 1]]);
  });

  it('has what ended in the second that the end cut short', () => {
    const { recorder, attempt } = recording();
    attempt(committed(), 2_100, 2_200);
    expect(recorder.result(2_300).bySecond).toMatchObject([{ second: 0, ended: 1 }]);
  });

  it('is of less time when it was cut short, and what was under way is unknown', () => {
    const { recorder } = recording();
    recorder.began(3_000, 3_000);
    recorder.cutShort(6_000);
    const result = recorder.result(8_000);
    expect(result.seconds).toBe(4);
    expect(result.endings.unknown).toBe(1);
    expect(result.reasons).toEqual({ INTERRUPTED: 1 });
  });

  it('has measured nothing when it was cut short in the warm-up', () => {
    const { recorder, attempt } = recording({ loop: 'closed' });
    recorder.cutShort(1_000);
    attempt(committed(), 900, 2_500);
    expect(recorder.result(2_500)).toMatchObject({ seconds: 0, endings: { committed: 0 }, sample: [] });
  });

  it('has a sample of at most 2,000, spread evenly over the measured time', () => {
    const { recorder, attempt } = recording();
    for (let i = 0; i < 10_000; i++) attempt(committed(String(i)), 2_000 + i, 2_000 + i);
    const { sample } = recorder.result(12_000);
    expect(sample.length).toBeLessThanOrEqual(2_000);
    const quarters = [0, 1, 2, 3].map((quarter) => sample.filter((txid) => Math.floor(Number(txid) / 2_500) === quarter).length);
    for (const count of quarters) expect(Math.abs(count - 500)).toBeLessThan(10);
  });

  it('remembers what clients were told, warm-up and all, in the words of the coordinator', () => {
    const { recorder, attempt } = recording();
    attempt(committed('a'), 0, 1);
    attempt(aborted('UNKNOWN_SKU', 'compensated'), 3_000, 3_001);
    attempt(without('unknown', 'ANSWER_LOST'), 3_000, 3_001);
    expect(recorder.result(12_000).told).toEqual([['a', 'committed'], ['tx', 'compensated']]);
  });
});
