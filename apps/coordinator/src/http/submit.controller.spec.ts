import 'reflect-metadata';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { Module } from '@nestjs/common';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import { pino } from 'pino';
import { makeTxid } from '#libs/protocol';
import { UnavailableError } from '#libs/runtime';
import { createHttpApp, listenHttp, ProblemException, setupOpenApi } from '#libs/service';
import { OUTCOME_UNKNOWN, Submission, type SubmitOptions, type Submitted } from '../submit/submission.js';
import { transactionView } from '../testing/transaction-view.js';
import { mapError } from './map-error.js';
import { SubmitController } from './submit.controller.js';

const txid = makeTxid(0, 1_700_000_000_000, new Uint8Array(8));
const committed: Submitted = { view: transactionView({ txid, status: 'committed', decision: 'COMMIT', decidedAtMs: 1 }), reached: true };

let answer: (body: any) => Promise<Submitted>;
let asked: SubmitOptions[];
const submission = { mustAccept: () => undefined, submit: (body: unknown, options: SubmitOptions) => { asked.push(options); return answer(body); } };

@Module({ controllers: [SubmitController], providers: [{ provide: Submission, useValue: submission }] })
class SubmitModule {}

let app: NestFastifyApplication;
let url: string;
const logged: string[] = [];

beforeAll(async () => {
  const logger = pino({ level: 'error' }, { write: (line: string) => { logged.push(line); } });
  app = await createHttpApp(SubmitModule, { name: 'test', logger, auth: { mode: 'off' }, mapError });
  setupOpenApi(app, { title: 'test', description: '', version: '1' });
  url = await listenHttp(app, { host: '127.0.0.1', port: 0, portVariable: 'PORT' });
});
afterAll(() => app.close());
beforeEach(() => {
  answer = async () => committed;
  asked = [];
  logged.length = 0;
});

async function post(path: string, body: unknown, headers: Record<string, string> = {}): Promise<{ status: number; body: any; headers: Headers }> {
  const response = await fetch(url + path, { method: 'POST', body: JSON.stringify(body), headers: { 'content-type': 'application/json', ...headers } });
  const text = await response.text();
  return { status: response.status, body: text.includes('\n') ? text : JSON.parse(text), headers: response.headers };
}
const batch = (items: unknown[], headers: Record<string, string> = {}): ReturnType<typeof post> => post('/v1/transactions:batch', { transactions: items }, headers);

describe('a submitted transaction', () => {
  it('that got as far as was waited for is answered 200, another 202 with its place', async () => {
    expect(await post('/v1/transactions', {}, { 'idempotency-key': 'k' })).toMatchObject({ status: 200, body: { id: txid, status: 'committed' } });
    expect(asked[0]).toMatchObject({ idempotencyKey: 'k', waitMs: 10_000 });
    answer = async () => ({ view: transactionView({ txid, protocol: 'saga', status: 'running' }), reached: false });
    const pending = await post('/v1/transactions', {});
    expect([pending.status, pending.body.status, pending.headers.get('location')]).toEqual([202, 'running', `/v1/transactions/${txid}`]);
  });

  it.each(['OVERLOADED', 'PARTICIPANT_OVERLOADED'] as const)('is answered 429 with Retry-After when the limit says %s', async (code) => {
    answer = async () => { throw new UnavailableError(code, 'too many', 1_500); };
    const { status, body, headers } = await post('/v1/transactions', {});
    expect([status, body.code, headers.get('retry-after')]).toEqual([429, code, '2']);
  });
});

describe('a batch', () => {
  const failing = async ({ n }: { n: number }): Promise<Submitted> => {
    if (n === 1) throw new Error('the password is swordfish');
    if (n === 2) throw new ProblemException(504, OUTCOME_UNKNOWN, 'unknown', [], undefined, { extensions: { id: txid } });
    if (n === 3) throw new UnavailableError('OVERLOADED', 'too many', 2_000);
    return committed;
  };

  it('of which one item fails unexpectedly answers all others', async () => {
    answer = failing;
    const { status, body } = await batch([{ n: 0 }, { n: 1 }, { n: 2 }, { n: 3 }]);
    expect(status).toBe(200);
    expect(body.transactions).toMatchObject([{ status: 'committed' }, { status: 500, code: 'INTERNAL' }, { status: 504, code: 'OUTCOME_UNKNOWN', id: txid }, { status: 429, code: 'OVERLOADED', retryAfter: 2 }]);
    expect(JSON.stringify(body)).not.toContain('swordfish');
    expect(logged.join()).toContain('unexpected error in an item of a batch');
  });

  it('says the same in lines', async () => {
    answer = failing;
    const { body } = await batch([{ n: 0 }, { n: 1 }], { accept: 'application/x-ndjson' });
    const lines = (body as string).trim().split('\n').map((line) => JSON.parse(line));
    expect(lines.toSorted((a, b) => a.index - b.index)).toMatchObject([{ index: 0, transaction: { status: 'committed' } }, { index: 1, problem: { status: 500, code: 'INTERNAL' } }]);
  });

  it('of which nothing was taken for reasons that pass is refused as a whole', async () => {
    answer = async () => { throw new UnavailableError('NO_SHARD', 'none', 1_000); };
    expect(await batch([{}, {}])).toMatchObject({ status: 503, body: { code: 'NO_SHARD' } });
  });

  it('with one key for all is refused, and told where keys go', async () => {
    const { status, body } = await batch([{}, {}], { 'idempotency-key': 'k' });
    expect([status, body.errors]).toEqual([400, [{ path: 'Idempotency-Key', message: expect.stringContaining('"idempotencyKey"') }]]);
    expect(asked).toEqual([]);
  });

  it('hands each item its own key', async () => {
    await batch([{ idempotencyKey: 'a' }, {}]);
    expect(asked.map(({ idempotencyKey }) => idempotencyKey)).toEqual(['a', null]);
  });
});

describe('the API document', () => {
  it('shows both kinds of body, the defaults of sagas, and every refusal', async () => {
    const document = await (await fetch(`${url}/docs-json`)).json() as any;
    const { requestBody, responses } = document.paths['/v1/transactions'].post;
    const [branches, saga] = requestBody.content['application/json'].schema.oneOf;
    expect(branches.properties.protocol.enum).toEqual(['2pc', '3pc', 'paxos-commit']);
    expect(saga.properties.steps).toMatchObject({ minItems: 1, maxItems: 100 });
    expect(saga.properties.steps.items.properties.retry.properties.maxAttempts.default).toBeGreaterThan(0);
    expect(Object.keys(responses).sort()).toEqual(['200', '202', '400', '401', '403', '413', '422', '429', '503', '504']);
    const items = document.paths['/v1/transactions:batch'].post.requestBody.content['application/json'].schema.properties.transactions.items.oneOf;
    expect(items.map((one: any) => 'idempotencyKey' in one.properties)).toEqual([true, true]);
  });
});
