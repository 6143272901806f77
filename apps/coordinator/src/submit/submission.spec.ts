import { beforeEach, describe, expect, it } from '@jest/globals';
import { type Json, makeTxid } from '#libs/protocol';
import { type BeginRequest, type BeginResult, type TransactionView, UnavailableError } from '#libs/runtime';
import type { TransactionLookup } from '../reads/transaction-lookup.js';
import { fingerprint } from './fingerprint.js';
import type { ParticipantDirectory } from './participant-directory.js';
import { Submission } from './submission.js';
import { TransactionBodyReader } from './transaction-body.js';

const txid = makeTxid(0, 1_700_000_000_000, new Uint8Array(8));
const body = { protocol: '2pc', branches: [{ participant: 'payments', operation: 'debit', payload: { amountCents: 1 } }] };
const options = { bytes: 100, idempotencyKey: null, waitMs: 1_000 };

let begun: BeginRequest[];
let begin: () => Promise<BeginResult>;
let found: () => Promise<TransactionView | null>;
let submission: Submission;

beforeEach(() => {
  begun = [];
  begin = async () => ({ kind: 'begun', txid });
  found = async () => ({ txid, status: 'committed', finishedAtMs: null }) as TransactionView;
  const driver = { begin: (request: BeginRequest) => { begun.push(request); return begin(); } };
  submission = new Submission(driver, { wait: () => found() } as unknown as TransactionLookup, new TransactionBodyReader(60_000), { admit: async () => undefined } as unknown as ParticipantDirectory, 7_000, { idempotency: async () => null });
});

describe('submission', () => {
  it('begins with the defaults filled in', async () => {
    expect(await submission.submit(body, options)).toMatchObject({ reached: true, view: { txid } });
    expect(begun).toEqual([{ protocol: '2pc', branches: body.branches, timeoutMs: 7_000, waitFor: 'decided', metadata: null, idempotency: null }]);
  });

  it('with waitFor finished has not got there while it is only decided', async () => {
    expect((await submission.submit({ ...body, waitFor: 'finished' }, options)).reached).toBe(false);
  });

  it('with a known key and the same body, however its keys are ordered, is the first transaction', async () => {
    begin = async () => ({ kind: 'duplicate', txid, requestHash: fingerprint(body as Json) });
    const reordered = { branches: [{ payload: { amountCents: 1 }, operation: 'debit', participant: 'payments' }], protocol: '2pc' };
    expect((await submission.submit(reordered, { ...options, idempotencyKey: 'k' })).view.txid).toBe(txid);
    expect(begun[0]!.idempotency).toEqual({ key: 'k', requestHash: fingerprint(body as Json) });
  });

  it('with a known key and another body is refused', async () => {
    begin = async () => ({ kind: 'duplicate', txid, requestHash: 'another' });
    await expect(submission.submit(body, { ...options, idempotencyKey: 'k' })).rejects.toMatchObject({ code: 'IDEMPOTENCY_KEY_REUSED', status: 422 });
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
