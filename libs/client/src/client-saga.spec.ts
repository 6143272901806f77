import { afterEach, describe, expect, it } from '@jest/globals';
import { client, closeAll, coordinator, json, request, transaction } from './testing/fake-coordinator.js';
import type { UnknownOutcome } from './types.js';

afterEach(closeAll);

describe('a saga', () => {
  const steps = [{ id: 'reserve', participant: 'inventory', operation: 'reserve', payload: { quantity: 1 } }, { id: 'debit', participant: 'payments', operation: 'debit', kind: 'pivot' as const, payload: { amountCents: 1 } }];
  const saga = (status: string, fields: object = {}) => transaction(status, { protocol: 'saga', decision: null, attention: null, ...fields });
  const completed = saga('completed', { decision: 'COMMIT', finishedAt: 'now' });

  it('is sent with its steps, by its own name or by run', async () => {
    const { url, seen } = await coordinator(json(200, completed));
    const one = client({ url });
    expect(await one.saga({ steps })).toMatchObject({ outcome: 'completed', id: 'tx-1', reason: null });
    expect(await one.run({ steps, timeoutMs: 5 })).toMatchObject({ outcome: 'completed' });
    expect(seen.map((s) => s.body)).toEqual([{ protocol: 'saga', steps }, { protocol: 'saga', steps, timeoutMs: 5 }]);
  });

  it('that was compensated says why', async () => {
    const reason = { code: 'INSUFFICIENT_FUNDS', participant: 'payments' };
    const { url } = await coordinator(json(200, saga('compensated', { decision: 'ABORT', finishedAt: 'now', reason })));
    expect(await client({ url }).saga({ steps })).toMatchObject({ outcome: 'compensated', reason });
  });

  it('is waited for beyond what one question waits, until it has ended', async () => {
    const { url, seen } = await coordinator(json(202, saga('running')), json(202, saga('running', { decision: 'COMMIT' })), json(202, saga('needs-attention', { decision: 'COMMIT', attention: { step: 'x', reason: { code: 'X' }, at: '' } })), json(200, completed));
    expect(await client({ url }).saga({ steps })).toMatchObject({ outcome: 'completed' });
    expect(seen).toHaveLength(4);
    expect(new Set(seen.map((s) => s.key)).size).toBe(1);
  });

  it('asked for its decision is answered with where that leads', async () => {
    const { url } = await coordinator(json(200, saga('compensating', { decision: 'ABORT', reason: { code: 'SAGA_TIMEOUT' } })));
    expect(await client({ url }).saga({ steps, waitFor: 'decided' })).toMatchObject({ outcome: 'compensated', reason: { code: 'SAGA_TIMEOUT' } });
  });

  it('that needs a person when the time is up says so, and can be waited for', async () => {
    const attention = { step: 'debit', reason: { code: 'RETRIES_EXHAUSTED' }, at: '2026-01-01T00:00:00.000Z' };
    const { url } = await coordinator(json(202, saga('needs-attention', { attention })), json(202, saga('needs-attention', { attention })), json(200, completed));
    const one = client({ url });
    const result = await one.saga({ steps }, { waitMs: 150 });
    expect(result).toMatchObject({ outcome: 'unknown', id: 'tx-1', attention, cause: { code: 'NEEDS_ATTENTION' } });
    expect(await one.wait(result as UnknownOutcome)).toMatchObject({ outcome: 'completed' });
  });

  it('is asked for by its id until it has ended', async () => {
    const { url, seen } = await coordinator(json(200, saga('running', { decision: 'COMMIT' })), json(200, completed));
    expect(await client({ url }).wait('tx-1')).toMatchObject({ outcome: 'completed' });
    expect(seen.map((s) => s.method)).toEqual(['GET', 'GET']);
  });

  it('in a batch that has not ended is unknown', async () => {
    const { url, seen } = await coordinator(json(200, { transactions: [saga('compensating', { decision: 'ABORT' }), completed, transaction('committed')] }));
    const results = await client({ url }).batch([{ steps }, { steps }, request]);
    expect(results).toMatchObject([{ outcome: 'unknown', id: 'tx-1', attention: null }, { outcome: 'completed' }, { outcome: 'committed' }]);
    expect(seen[0]!.body.transactions.map((t: any) => t.protocol)).toEqual(['saga', 'saga', '2pc']);
  });
});
