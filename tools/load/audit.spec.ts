import { describe, expect, it } from '@jest/globals';
import { answersOf, type AskedOfExtra, type ExtraBranch, extraOffences, untilItHolds } from './audit.js';

const asked = (part: Partial<AskedOfExtra> = {}): AskedOfExtra => ({ txid: 't1', branches: [3], saga: false, outcome: 'committed', ...part });
const row = (state: string, part: Partial<ExtraBranch> = {}): ExtraBranch => ({ txid: 't1', branch: 3, state, ...part });

describe('the audit of a participant beyond the shop', () => {
  it('holds when it has applied what committed, and nothing else', () => {
    expect(extraOffences([asked(), asked({ txid: 't2', outcome: 'aborted' }), asked({ txid: 't3', outcome: 'aborted' })], [row('committed'), row('aborted', { txid: 't2' })])).toEqual([]);
    expect(extraOffences([asked({ saga: true, outcome: 'completed' }), asked({ txid: 't2', saga: true, outcome: 'compensated' })], [row('executed'), row('compensated', { txid: 't2' })])).toEqual([]);
  });

  it.each([
    ['a commit that it has not applied', [asked()], [row('aborted')], 't1 committed, branch 3 is aborted'],
    ['a commit that it has never heard of', [asked()], [], 't1 committed, branch 3 is not there'],
    ['an abort that it has applied', [asked({ outcome: 'aborted' })], [row('committed')], 't1 aborted, branch 3 is committed'],
    ['a branch in doubt', [asked({ outcome: 'aborted' })], [row('prepared')], 't1 aborted, branch 3 is prepared'],
    ['a transaction that has not ended', [asked({ outcome: null })], [row('committed')], 't1 has not ended, branch 3 is committed'],
    ['a step that was not undone', [asked({ saga: true, outcome: 'compensated' })], [row('executed')], 't1 compensated, branch 3 is executed'],
    ['a branch that nobody asked for', [], [row('committed')], 't1 3 was not asked for'],
  ] as const)('finds %s', (_, transactions, rows, offence) => {
    expect(extraOffences(transactions, rows)).toEqual([offence]);
  });
});

describe('the answers that are audited', () => {
  it('are those that were certain', () => {
    expect([...answersOf([['a', 'committed'], ['b', 'unknown'], ['c', 'compensated'], ['d', 'refused']])]).toEqual([['a', 'committed'], ['c', 'compensated']]);
  });
});

describe('the audit after a run', () => {
  const holds = { name: 'x', holds: true, detail: '' };
  const broken = { name: 'x', holds: false, detail: '' };

  it('is repeated until everything is at rest', async () => {
    const looks = [[broken], [broken], [holds]];
    expect(await untilItHolds(async () => looks.shift()!, 60_000, new AbortController().signal, 0)).toEqual([holds]);
    expect(looks).toEqual([]);
  });

  it('says what is broken when the time is over', async () => {
    expect(await untilItHolds(async () => [holds, broken], 0, new AbortController().signal, 0)).toEqual([holds, broken]);
  });
});
