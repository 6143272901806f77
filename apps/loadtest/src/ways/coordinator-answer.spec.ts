import { describe, expect, it } from '@jest/globals';
import { NoAnswerError } from '../http-connections.js';
import { ofFailure, ofProblem, ofRefusal, ofTransaction } from './coordinator-answer.js';

describe('what a client concludes', () => {
  it.each([['committed', 'committed'], ['completed', 'committed'], ['aborted', 'aborted'], ['compensated', 'aborted']] as const)('%s is %s, and told in the coordinator\'s word', (status, ending) => {
    expect(ofTransaction({ id: 't', status, reason: { code: 'WHY' } })).toEqual({ ending, reason: 'WHY', txid: 't', outcome: status });
  });

  it.each(['pending', 'running', 'compensating', 'needs-attention'])('%s is not known yet', (status) => {
    expect(ofTransaction({ id: 't', status })).toEqual({ ending: 'unknown', reason: 'STILL_PENDING', txid: 't', outcome: null });
  });

  it.each([[422, 'refused'], [429, 'refused'], [503, 'refused'], [500, 'unknown'], [504, 'unknown']] as const)('%s is %s', (status, ending) => {
    expect(ofProblem(status, 'CODE')).toMatchObject({ ending, reason: 'CODE' });
  });

  it('reads the code of a problem document, and makes do without one', () => {
    expect(ofRefusal({ status: 429, text: '{"status":429,"code":"OVERLOADED"}' }).reason).toBe('OVERLOADED');
    expect(ofRefusal({ status: 502, text: '<html>' })).toMatchObject({ ending: 'unknown', reason: 'HTTP_502' });
  });

  it('no answer is unknown once the request was sent, and certainly nothing before', () => {
    const reset = Object.assign(new Error('read ECONNRESET'), { code: 'ECONNRESET' });
    expect(ofFailure(new NoAnswerError(reset, true))).toMatchObject({ ending: 'unknown', reason: 'ANSWER_LOST' });
    expect(ofFailure(new NoAnswerError(reset, false))).toMatchObject({ ending: 'refused', reason: 'ECONNRESET' });
  });

  it('a fault of the generator itself is no ending', () => {
    expect(() => ofFailure(new TypeError('a bug'))).toThrow('a bug');
  });
});
