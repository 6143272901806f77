import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import { createHttpApp, createLogger } from '#libs/service';
import { LocalModule } from './local-app.js';
import type { Pool } from './monolith.js';

const CHECKOUT = { orderId: 'o-1', customerId: 'c-1', sku: 's-1', quantity: 1, amountCents: 1 };

/** Each statement changes a row, but for debits of c-poor; the connection of c-cut ends at its commit. */
function database(): Pool {
  let customer = '';
  const query = async (statement: string | { name: string; values: readonly unknown[] }): Promise<unknown> => {
    if (statement === 'COMMIT' && customer === 'c-cut') throw Object.assign(new Error('gone'), { code: 'ECONNRESET' });
    if (typeof statement === 'object' && statement.name === 'pay') customer = String(statement.values[0]);
    return { rowCount: typeof statement === 'object' && customer === 'c-poor' ? 0 : 1 };
  };
  return { connect: async () => ({ query, release: () => undefined }) } as unknown as Pool;
}

describe('the monolith behind HTTP', () => {
  let app: NestFastifyApplication;
  beforeAll(async () => {
    app = await createHttpApp(LocalModule.forRoot(database()), { name: 'local', auth: 'public', logger: createLogger('local', { LOG_LEVEL: 'silent' }) });
    await app.init();
    await app.getHttpAdapter().getInstance().ready();
  });
  afterAll(() => app.close());

  const post = async (payload: object): Promise<readonly [number, unknown]> => {
    const { statusCode, body } = await app.inject({ method: 'POST', url: '/checkout', payload });
    return [statusCode, JSON.parse(body)];
  };

  it('answers a checkout, whether it committed or not', async () => {
    expect(await post(CHECKOUT)).toEqual([200, { committed: true, reason: null }]);
    expect(await post({ ...CHECKOUT, customerId: 'c-poor' })).toEqual([200, { committed: false, reason: 'INSUFFICIENT_FUNDS' }]);
  });

  it('refuses what is no checkout', async () => {
    expect(await post({ ...CHECKOUT, quantity: 0 })).toEqual([400, expect.objectContaining({ code: 'VALIDATION_FAILED' })]);
  });

  it('does not claim to know what became of a commit without an answer', async () => {
    expect((await post({ ...CHECKOUT, customerId: 'c-cut' }))[0]).toBe(500);
  });
});
