import { describe, expect, it } from '@jest/globals';
import { stepView, transactionView } from '../testing/transaction-view.js';
import { iso, transactionJson } from './transaction-json.js';

describe('a transaction as JSON', () => {
  it('of branches has what branches have', () => {
    const branch = { index: 0, participant: 'payments', operation: 'debit', state: 'refused', vote: 'no', result: null, reason: { code: 'INSUFFICIENT_FUNDS' }, attempts: 1 } as const;
    const json = transactionJson(transactionView({ status: 'aborted', decision: 'ABORT', decidedAtMs: 1_000, branches: [{ ...branch, step: null }] }));
    expect(json).toMatchObject({ status: 'aborted', decision: 'ABORT', decidedAt: '1970-01-01T00:00:01.000Z', finishedAt: null, attention: null, resolved: null });
    expect(json['branches']).toEqual([branch]);
  });

  it('of a saga has its steps as branches, and why it needs a person', () => {
    const json = transactionJson(transactionView({
      protocol: 'saga', status: 'needs-attention', decision: 'COMMIT',
      branches: [stepView('confirm', 'retriable', 'sent', { reason: { code: 'HANDLER_FAILED' }, attempts: 20 })],
      attention: { step: 'confirm', why: { code: 'RETRIES_EXHAUSTED' }, atMs: 2_000 }, resolved: null,
    }));
    expect(json).toMatchObject({
      status: 'needs-attention', decision: 'COMMIT', attention: { step: 'confirm', reason: { code: 'RETRIES_EXHAUSTED' }, at: '1970-01-01T00:00:02.000Z' },
      branches: [{ index: 0, id: 'confirm', kind: 'retriable', after: [], state: 'sent', vote: null, attempts: 20, reason: { code: 'HANDLER_FAILED' } }],
    });
  });
});

describe('a time', () => {
  it('is written as Date writes it', () => {
    const times = [0, 9, 10, 99, 100, 999, 1_000, 1_700_000_000_007, 1_700_000_000_250.7, 253_402_300_799_999, ...Array.from({ length: 500 }, (_, i) => 1_700_000_000_000 + 1_001 * i)];
    for (const ms of [...times, ...times]) expect(iso(ms)).toBe(new Date(ms).toISOString());
  });
});
