import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import type { TransactionView } from '#libs/runtime';
import { stepView, transactionView } from '../testing/transaction-view.js';
import { transactionJson } from './transaction-json.js';
import { transactionText } from './transaction-text.js';

const time = fc.integer({ min: 0, max: 4_000_000_000_000 });
const orNull = <T>(value: fc.Arbitrary<T>): fc.Arbitrary<T | null> => fc.option(value);
const reason = fc.record({ code: fc.string(), participant: fc.string(), detail: fc.string({ unit: 'binary' }) }, { requiredKeys: ['code'] });
const branch = fc.record({
  index: fc.nat(63), participant: fc.string(), operation: fc.string({ unit: 'binary' }), state: fc.constantFrom('waiting', 'prepared', 'read-only', 'refused', 'committed', 'aborted'),
  vote: orNull(fc.constantFrom('yes', 'no', 'read-only')), attempts: fc.nat(), result: fc.jsonValue(), reason: orNull(reason), step: fc.constant(null),
});
const view = fc.record({
  protocol: fc.constantFrom('2pc', '3pc', 'paxos-commit'), status: fc.constantFrom('pending', 'committed', 'aborted'), decision: orNull(fc.constantFrom('COMMIT', 'ABORT')),
  reason: orNull(reason), branches: fc.array(branch, { maxLength: 3 }), createdAtMs: time, deadlineMs: time, decidedAtMs: orNull(time), finishedAtMs: orNull(time),
  resolved: orNull(reason), metadata: fc.jsonValue(),
});

describe('the text of a transaction', () => {
  it('is that of its JSON, whatever names, reasons, results and metadata hold', () => {
    fc.assert(fc.property(view, (over) => {
      const shown = transactionView(over as Partial<TransactionView>);
      expect(transactionText(shown)).toBe(JSON.stringify(transactionJson(shown)));
    }), { numRuns: 200 });
  });

  it('is that of its JSON for a saga, and for what needs a person', () => {
    const attention = { step: 'confirm', why: { code: 'RETRIES_EXHAUSTED' }, atMs: 2_000 };
    for (const over of [{ protocol: 'saga', branches: [stepView('confirm', 'retriable', 'sent')] }, { protocol: 'saga', attention }, { protocol: '2pc', attention }] as const) {
      const shown = transactionView(over);
      expect(transactionText(shown)).toBe(JSON.stringify(transactionJson(shown)));
    }
  });
});
