import { describe, expect, it } from '@jest/globals';
import { ConcordatError, type Transaction } from '#libs/client';
import { ofResult } from './sdk.js';

const transaction = {} as Transaction;

describe('what the client library says', () => {
  it.each([['committed', 'committed'], ['completed', 'committed'], ['aborted', 'aborted'], ['compensated', 'aborted']] as const)('%s is %s', (outcome, ending) => {
    expect(ofResult({ outcome, id: 't', reason: { code: 'WHY' }, transaction })).toEqual({ ending, reason: 'WHY', txid: 't', outcome });
  });

  it('unknown is unknown, by the code of its cause', () => {
    const cause = new ConcordatError({ status: 0, code: 'ANSWER_LOST', message: '' });
    expect(ofResult({ outcome: 'unknown', id: null, idempotencyKey: 'k', request: null, attention: null, cause })).toEqual({ ending: 'unknown', reason: 'ANSWER_LOST', txid: null, outcome: null });
  });
});
