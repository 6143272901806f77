import type { BranchReport } from '#libs/runtime';
import { decodeReports, encodeReports, type StoredReport } from './reports.js';

const YES: BranchReport = { vote: 'yes', reason: null, result: null, acked: false, attempts: 1 };

describe('stored reports', () => {
  it.each<readonly [string, BranchReport]>([
    ['a vote', YES],
    ['one that was never heard of', { ...YES, vote: null, attempts: 0 }],
    ['a result', { ...YES, acked: true, result: { seat: '12A' } }],
    ['a result that is an array', { ...YES, result: [1, null] }],
    ['a refusal', { ...YES, vote: 'no', reason: { code: 'OUT_OF_STOCK', participant: 'orders' } }],
    ['a saga\'s step', { state: 'skipped', result: null, reason: null, attempts: 2 }],
    ['a branch of paxos-commit', { vote: 'yes', reason: null, acked: true }],
  ])('give back %s', (_, report) => {
    const stored = encodeReports([report, YES]);
    expect(stored).not.toContain('\n');
    expect(decodeReports(JSON.parse(stored) as StoredReport[])).toEqual([report, YES]);
  });

  it('have no names for what nearly all of them are', () => {
    expect(encodeReports([YES])).toBe('[["yes",0,1]]');
  });
});
