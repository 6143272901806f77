import { beforeEach, describe, expect, it } from '@jest/globals';
import { type Json, makeTxid, type Txid } from '#libs/protocol';
import { type BeginRequest, type BeginResult, GIVEN_UP, type TransactionView, UnavailableError } from '#libs/runtime';
import { ProblemException } from '#libs/service';
import { LIMITS } from '../testing/limits.js';
import { transactionView } from '../testing/transaction-view.js';
import { fingerprint } from './fingerprint.js';
import type { KeyHolder } from './key-lookup.js';
import { Submission } from './submission.js';
import { TransactionBodyReader } from './transaction-body.js';

const txidOf = (n: number): Txid => makeTxid(0, 1_700_000_000_000 + n, new Uint8Array(8));
const txid = txidOf(0);
const branches = [{ participant: 'payments', operation: 'debit', payload: { amountCents: 1 } }];
const body = { protocol: '2pc', branches };
const saga = { protocol: 'saga', steps: [{ id: 'debit', ...branches[0] }] };
const requestHash = fingerprint(body as Json);
const options = { bytes: 100, idempotencyKey: null, waitMs: 1_000 };
const keyed = { ...options, idempotencyKey: 'k' };

let begun: BeginRequest[];
let begin: (request: BeginRequest) => Promise<BeginResult>;
let found: (txid: Txid) => Promise<TransactionView | null>;
let admitted: unknown[][];
let refusal: Error | null;
let holders: Map<string, KeyHolder>;
let asked: string[];
let submission: Submission;

beforeEach(() => {
  begun = [];
  begin = async () => ({ kind: 'begun', txid });
  found = async (id) => transactionView({ txid: id, status: 'committed', decision: 'COMMIT' });
  admitted = [];
  refusal = null;
  holders = new Map();
  asked = [];
  submission = new Submission({
    driver: { begin: (request) => { begun.push(request); return begin(request); } },
    lookup: { wait: (id) => found(id) },
    reader: new TransactionBodyReader(LIMITS),
    participants: { admit: async (...args) => { admitted.push(args); if (refusal !== null) throw refusal; } },
    keys: { find: async (key) => { asked.push(key); return holders.get(key) ?? null; } },
    limits: LIMITS,
    acceptors: ['a', 'b', 'c'],
  });
});

describe('submission', () => {
  it('begins with the defaults filled in', async () => {
    expect(await submission.submit(body, options)).toMatchObject({ reached: true, view: { txid } });
    expect(begun).toEqual([{ protocol: '2pc', branches, timeoutMs: 7_000, waitFor: 'decided', metadata: null, idempotency: null }]);
  });

  it('of a saga fills in its own defaults and waits for its end', async () => {
    expect(await submission.submit(saga, options)).toMatchObject({ reached: false });
    const { timeoutMs, stepTimeoutMs, retry, compensationTimeoutMs, attentionAfterAttempts } = LIMITS.saga;
    const steps = [{ ...saga.steps[0], kind: 'compensatable', timeoutMs: stepTimeoutMs, retry }];
    expect(begun).toEqual([{ protocol: 'saga', steps, timeoutMs, compensationTimeoutMs, attentionAfterAttempts, waitFor: 'finished', metadata: null, idempotency: null }]);
    expect(admitted).toEqual([['steps', steps]]);
  });

  it('of a saga keeps what it says', async () => {
    const said = { timeoutMs: 1, compensationTimeoutMs: 2, attentionAfterAttempts: 3, waitFor: 'decided', metadata: 4 };
    expect(await submission.submit({ ...saga, ...said }, options)).toMatchObject({ reached: true });
    expect(begun[0]).toMatchObject(said);
  });

  it('of an invalid saga is refused before anything else is asked', async () => {
    await expect(submission.submit({ protocol: 'saga', steps: [] }, keyed)).rejects.toMatchObject({ code: 'INVALID_SAGA', status: 422 });
    expect([admitted, begun, asked]).toEqual([[], [], []]);
  });

  it('of paxos-commit, and of no other protocol, needs the acceptors', async () => {
    const two = [...branches, ...branches];
    for (const protocol of ['3pc', 'paxos-commit']) await submission.submit({ protocol, branches: two }, options);
    await submission.submit({ protocol: 'paxos-commit', branches }, options);
    expect(admitted.map(([, , acceptors]) => acceptors)).toEqual([[], ['a', 'b', 'c'], []]);
    expect(begun.map(({ protocol }) => protocol)).toEqual(['3pc', 'paxos-commit', 'paxos-commit']);
  });

  it('with waitFor finished has not got there while it is only decided', async () => {
    expect((await submission.submit({ ...body, waitFor: 'finished' }, options)).reached).toBe(false);
  });

  it('with a known key and the same body, however its keys are ordered, is the first transaction', async () => {
    begin = async () => ({ kind: 'duplicate', txid, requestHash });
    const reordered = { branches: [{ payload: { amountCents: 1 }, operation: 'debit', participant: 'payments' }], protocol: '2pc' };
    expect((await submission.submit(reordered, keyed)).view.txid).toBe(txid);
    expect(begun[0]!.idempotency).toEqual({ key: 'k', requestHash });
  });

  it('with a known key and another body is refused', async () => {
    begin = async () => ({ kind: 'duplicate', txid, requestHash: 'another' });
    await expect(submission.submit(body, keyed)).rejects.toMatchObject({ code: 'IDEMPOTENCY_KEY_REUSED', status: 422 });
    expect(asked).toEqual([]);
  });

  it('takes another step of a saga for another body', async () => {
    await submission.submit(saga, keyed);
    await submission.submit({ ...saga, steps: [{ ...saga.steps[0]!, kind: 'pivot' }] }, keyed);
    expect(new Set(begun.map(({ idempotency }) => idempotency!.requestHash)).size).toBe(2);
  });

  it('that has begun and cannot be read is never answered as if it had not been taken', async () => {
    for (const lost of [async () => null, async () => { throw new Error('the database is away'); }]) {
      found = lost;
      await expect(submission.submit(body, options)).rejects.toMatchObject({ code: 'OUTCOME_UNKNOWN', status: 504, problem: { id: txid } });
    }
  });

  it('is refused once the instance stops', async () => {
    submission.close();
    await expect(submission.submit(body, options)).rejects.toEqual(expect.objectContaining({ code: 'SHUTTING_DOWN' }));
    await expect(submission.submit(body, options)).rejects.toBeInstanceOf(UnavailableError);
    expect(begun).toEqual([]);
  });
});

describe('a repetition that cannot be begun any more', () => {
  const unavailable = (code: 'OVERLOADED' | 'PARTICIPANT_OVERLOADED' | 'NO_SHARD') => new UnavailableError(code, 'not now', 1_000);

  it.each(['OVERLOADED', 'PARTICIPANT_OVERLOADED', 'NO_SHARD'] as const)('because of %s gets the first answer', async (code) => {
    begin = async () => { throw unavailable(code); };
    holders.set('k', { txid, requestHash });
    expect(await submission.submit(body, keyed)).toMatchObject({ reached: true, view: { txid, status: 'committed' } });
  });

  it('because its participant is refused now gets the first answer', async () => {
    refusal = new ProblemException(503, 'PARTICIPANT_PAUSED', 'paused');
    holders.set('k', { txid, requestHash });
    expect((await submission.submit(body, keyed)).view.txid).toBe(txid);
  });

  it('is refused when it is none, or no key says so', async () => {
    begin = async () => { throw unavailable('OVERLOADED'); };
    await expect(submission.submit(body, keyed)).rejects.toMatchObject({ code: 'OVERLOADED' });
    await expect(submission.submit(body, options)).rejects.toMatchObject({ code: 'OVERLOADED' });
    expect(asked).toEqual(['k']);
  });

  it('of another body is refused for that', async () => {
    begin = async () => { throw unavailable('OVERLOADED'); };
    holders.set('k', { txid, requestHash: 'another' });
    await expect(submission.submit(body, keyed)).rejects.toMatchObject({ code: 'IDEMPOTENCY_KEY_REUSED' });
  });
});

describe('a key whose first transaction was given up when it was answered 503', () => {
  const givenUp = (id: Txid): TransactionView => transactionView({ txid: id, status: 'aborted', decision: 'ABORT', reason: GIVEN_UP });

  /** A store: the first holder of `k` was given up; every other key can be had once. */
  function storeWithGivenUp(): void {
    const taken = new Map<string, Txid>([['k', txid]]);
    begin = async ({ idempotency }) => {
      const holder = taken.get(idempotency!.key);
      if (holder !== undefined) return { kind: 'duplicate', txid: holder, requestHash: idempotency!.requestHash };
      taken.set(idempotency!.key, txidOf(taken.size));
      return { kind: 'begun', txid: taken.get(idempotency!.key)! };
    };
    found = async (id) => (id === txid ? givenUp(id) : transactionView({ txid: id, status: 'committed', decision: 'COMMIT' }));
  }

  it('is not burnt: its repetition runs, and once only', async () => {
    storeWithGivenUp();
    const answers = await Promise.all([submission.submit(body, keyed), submission.submit(body, keyed)]);
    expect(answers.map(({ view }) => [view.txid, view.status])).toEqual([[txidOf(1), 'committed'], [txidOf(1), 'committed']]);
    expect((await submission.submit(body, keyed)).view.txid).toBe(txidOf(1));
  });

  it('still belongs to its request', async () => {
    begin = async () => ({ kind: 'duplicate', txid, requestHash });
    found = async (id) => givenUp(id);
    await expect(submission.submit({ ...body, metadata: 1 }, keyed)).rejects.toMatchObject({ code: 'IDEMPOTENCY_KEY_REUSED' });
  });

  it('does not run again what its client has cancelled', async () => {
    begin = async () => ({ kind: 'duplicate', txid, requestHash });
    found = async (id) => transactionView({ txid: id, status: 'aborted', decision: 'ABORT', reason: { code: 'CANCELLED', detail: 'changed my mind' } });
    expect((await submission.submit(body, keyed)).view.status).toBe('aborted');
    expect(begun).toHaveLength(1);
  });
});
