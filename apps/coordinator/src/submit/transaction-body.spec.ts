import { describe, expect, it } from '@jest/globals';
import { ProblemException } from '#libs/service';
import { LIMITS } from '../testing/limits.js';
import { TransactionBodyReader } from './transaction-body.js';

const reader = new TransactionBodyReader(LIMITS);
const branch = (over: object = {}): object => ({ participant: 'payments', operation: 'debit', payload: { amountCents: 1 }, ...over });
const body = (over: object = {}): object => ({ protocol: '2pc', branches: [branch(), branch()], ...over });

function refused(value: unknown, bytes = 100): { status: number; code: string; errors: Record<string, string> } {
  try {
    reader.read(value, bytes);
  } catch (error) {
    const { problem } = error as ProblemException;
    return { status: problem.status, code: problem.code, errors: Object.fromEntries((problem.errors ?? []).map((e) => [e.path, e.message])) };
  }
  throw new Error('was not refused');
}

describe('the body of a transaction', () => {
  it('is taken as it is, with all optional fields or none', () => {
    for (const valid of [body(), body({ timeoutMs: 60_000, waitFor: 'finished', metadata: [1] }), body({ branches: [branch({ payload: null })] })]) {
      expect(reader.read(valid, 100)).toBe(valid);
    }
  });

  it.each<[string, object, string, RegExp]>([
    ['an empty participant', { branches: [branch(), branch({ participant: '' })] }, 'branches[1].participant', /pattern/],
    ['an operation that is no text', { branches: [branch({ operation: 7 })] }, 'branches[0].operation', /string/],
    ['a branch without payload', { branches: [{ participant: 'a', operation: 'b' }] }, 'branches[0].payload', /required/],
    ['an unknown field of a branch', { branches: [branch({ extra: 1 })] }, 'branches[0].extra', /not a known field/],
    ['an unknown field', { surprise: true }, 'surprise', /not a known field/],
    ['no branches', { branches: [] }, 'branches', /fewer than 1/],
    ['too many branches', { branches: Array.from({ length: 65 }, () => branch()) }, 'branches', /more than 64/],
    ['an unknown protocol', { protocol: 'hope' }, 'protocol', /2pc, 3pc, paxos-commit, saga/],
    ['a timeout of text', { timeoutMs: 'soon' }, 'timeoutMs', /integer/],
    ['a timeout out of range', { timeoutMs: 60_001 }, 'timeoutMs', /60000/],
    ['another waitFor', { waitFor: 'ever' }, 'waitFor', /decided, finished/],
    ['U+0000, which no database stores', { branches: [branch({ payload: { text: 'a\0' } })] }, 'branches[0].payload', /U\+0000/],
    ['a lone surrogate in the metadata', { metadata: '\ud800' }, 'metadata', /surrogate/],
  ])('%s is refused by its path', (_what, over, path, message) => {
    expect(refused(body(over))).toEqual({ status: 400, code: 'VALIDATION_FAILED', errors: { [path]: expect.stringMatching(message) } });
  });

  it('names all wrong fields at once', () => {
    expect(Object.keys(refused({ branches: [branch({ participant: 1 })], timeoutMs: 0 }).errors).sort()).toEqual(['branches[0].participant', 'protocol', 'timeoutMs']);
  });

  it('nested too deeply is refused', () => {
    let deep: unknown = 1;
    for (let i = 0; i < 200; i++) deep = [deep];
    expect(refused(body({ metadata: deep })).errors).toEqual({ metadata: expect.stringMatching(/deeper than 100/) });
  });

  it('whose payload grows beyond a Kafka record when it is written again is refused', () => {
    const payload = Array.from({ length: 50_000 }, () => 1e20);
    expect(refused(body({ branches: [branch({ payload })] }), 250_000).errors).toEqual({ 'branches[0].payload': expect.stringMatching(/not be larger than 524288/) });
  });

  it.each(['3pc', 'paxos-commit'])('of %s is that of 2pc', (protocol) => {
    const valid = body({ protocol });
    expect(reader.read(valid, 100)).toBe(valid);
    expect(refused(body({ protocol, steps: [] })).errors).toEqual({ steps: expect.stringMatching(/belongs to sagas/) });
  });

  it.each<[string, unknown]>([
    ['text that is escaped', '\u0001'.repeat(11_000)], ['long numbers', Array(3_000).fill(-Math.PI * 1e-300)], ['keys', Object.fromEntries(Array.from({ length: 6_000 }, (_, i) => [`key ${i}`, 0]))], ['many bytes a character', '\u20ac'.repeat(22_000)],
  ])('is measured as it is written: %s', (_what, metadata) => {
    expect(refused(body({ metadata }), 100_000).errors).toEqual({ metadata: expect.stringMatching(/not be larger than 65536/) });
  });

  it('is refused, and not more than that, when it is nested so deep that a recursive reader would run out of stack', () => {
    const deep = JSON.parse(`${'['.repeat(100_000)}${']'.repeat(100_000)}`) as unknown;
    expect(refused(body({ metadata: deep }), 200_000)).toMatchObject({ status: 400, errors: { metadata: expect.stringContaining('nested') } });
  });
});

describe('the body of a saga', () => {
  const step = (over: object = {}): object => ({ id: 'debit', participant: 'payments', operation: 'debit', payload: { amountCents: 1 }, ...over });
  const saga = (over: object = {}): object => ({ protocol: 'saga', steps: [step()], ...over });

  it('is taken as it is, with all optional fields or none', () => {
    const full = step({ kind: 'pivot', after: ['a'], timeoutMs: 600_000, retry: { maxAttempts: 1, firstMs: 1, maxMs: 1 } });
    for (const valid of [saga(), saga({ steps: [] }), saga({ steps: [full], timeoutMs: 600_000, compensationTimeoutMs: 1, attentionAfterAttempts: 1_000, waitFor: 'decided', metadata: {} })]) {
      expect(reader.read(valid, 100)).toBe(valid);
    }
  });

  it.each<[string, object, string, RegExp]>([
    ['branches', { branches: [] }, 'branches', /a saga has steps/],
    ['a step without an id', { steps: [step({ id: undefined })] }, 'steps[0].id', /string|required/],
    ['an id with a blank', { steps: [step({ id: 'a b' })] }, 'steps[0].id', /pattern/],
    ['a step without payload', { steps: [{ id: 'a', participant: 'a', operation: 'b' }] }, 'steps[0].payload', /required/],
    ['another kind', { steps: [step({ kind: 'optional' })] }, 'steps[0].kind', /compensatable, pivot, retriable/],
    ['after that is no list', { steps: [step({ after: 'a' })] }, 'steps[0].after', /array/],
    ['after with a number', { steps: [step({ after: ['a', 1] })] }, 'steps[0].after[1]', /string/],
    ['no attempt at all', { steps: [step({ retry: { maxAttempts: 0 } })] }, 'steps[0].retry.maxAttempts', />= 1/],
    ['too many attempts', { steps: [step({ retry: { maxAttempts: 1_001 } })] }, 'steps[0].retry.maxAttempts', /1000/],
    ['no pause between attempts', { steps: [step({ retry: { firstMs: 0 } })] }, 'steps[0].retry.firstMs', />= 1/],
    ['a longest pause that is shorter than the first', { steps: [step(), step({ retry: { firstMs: 500, maxMs: 499 } })] }, 'steps[1].retry.maxMs', /not be less than firstMs, which is 500/],
    ['an unknown field of retry', { steps: [step({ retry: { forever: true } })] }, 'steps[0].retry.forever', /not a known field/],
    ['a step timeout out of range', { steps: [step({ timeoutMs: 600_001 })] }, 'steps[0].timeoutMs', /600000/],
    ['a timeout out of range', { timeoutMs: 600_001 }, 'timeoutMs', /600000/],
    ['no time for compensations', { compensationTimeoutMs: 0 }, 'compensationTimeoutMs', />= 1/],
    ['attention after no attempt', { attentionAfterAttempts: 0 }, 'attentionAfterAttempts', />= 1/],
    ['U+0000 in a payload', { steps: [step({ payload: 'a\0' })] }, 'steps[0].payload', /U\+0000/],
  ])('with %s is refused by its path', (_what, over, path, message) => {
    expect(refused(saga(over))).toEqual({ status: 400, code: 'VALIDATION_FAILED', errors: { [path]: expect.stringMatching(message) } });
  });

  it('with a payload beyond its limit is refused by its path', () => {
    expect(refused(saga({ steps: [step(), step({ payload: 'x'.repeat(600_000) })] }), 700_000).errors).toEqual({ 'steps[1].payload': expect.stringMatching(/not be larger/) });
  });
});
