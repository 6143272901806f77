import { describe, expect, it } from '@jest/globals';
import type { Checkout } from '#libs/shop/checkout';
import { inOneStatement, inStatements, type Pool } from './monolith.js';

const CHECKOUT: Checkout = { orderId: 'o-1', customerId: 'c-1', sku: 's-1', quantity: 1, amountCents: 1 };
const sqlError = (code: string): Error => Object.assign(new Error(code), { code });

/** Answers named statements as the test says (default: one row changed), and notes what was asked. */
function database(answers: Readonly<Record<string, number | Error>> = {}): { pool: Pool; asked: string[]; released: (Error | undefined)[] } {
  const asked: string[] = [];
  const released: (Error | undefined)[] = [];
  const query = async (statement: string | { name: string }): Promise<unknown> => {
    const name = typeof statement === 'string' ? statement : statement.name;
    asked.push(name);
    const answer = answers[name] ?? 1;
    if (answer instanceof Error) throw answer;
    return { rowCount: answer, rows: [{ done: answer }] };
  };
  const client = { query, release: (error?: Error) => { released.push(error); } };
  return { pool: { connect: async () => client, query, end: async () => undefined } as unknown as Pool, asked, released };
}

describe('the checkout of the monolith, in statements', () => {
  it('commits when each of its writes has found its row', async () => {
    const { pool, asked, released } = database();
    expect(await inStatements(pool, CHECKOUT)).toEqual({ committed: true, reason: null });
    expect(asked).toEqual(['BEGIN', 'place', 'pay', 'enter', 'take', 'move', 'COMMIT']);
    expect(released).toEqual([undefined]);
  });

  it.each([['pay', 'INSUFFICIENT_FUNDS'], ['take', 'OUT_OF_STOCK']])('rolls back at once when there is nothing to %s', async (statement, reason) => {
    const { pool, asked } = database({ [statement]: 0 });
    expect(await inStatements(pool, CHECKOUT)).toEqual({ committed: false, reason });
    expect(asked.slice(-2)).toEqual([statement, 'ROLLBACK']);
  });

  it('rolls back what Postgres refuses, and gives the connection back', async () => {
    const { pool, asked, released } = database({ enter: sqlError('40P01') });
    expect(await inStatements(pool, CHECKOUT)).toEqual({ committed: false, reason: 'SQLSTATE_40P01' });
    expect(asked.at(-1)).toBe('ROLLBACK');
    expect(released).toEqual([undefined]);
  });

  it.each(['ECONNRESET', '57P01', '08006'])('knows nothing when the connection ends at the commit (%s), and throws the connection away', async (code) => {
    const { pool, released } = database({ COMMIT: sqlError(code) });
    await expect(inStatements(pool, CHECKOUT)).rejects.toThrow(code);
    expect(released).toEqual([expect.objectContaining({ code })]);
  });
});

describe('the checkout of the monolith, in one statement', () => {
  it.each([
    ['commits', 1, { committed: true, reason: null }], ['has no effect without funds', 0, { committed: false, reason: 'INSUFFICIENT_FUNDS' }],
    ['fails as a whole without stock', sqlError('22012'), { committed: false, reason: 'OUT_OF_STOCK' }], ['is refused by Postgres', sqlError('23505'), { committed: false, reason: 'SQLSTATE_23505' }],
  ] as const)('%s', async (_name, answer, outcome) => {
    const { pool, asked } = database({ checkout: answer });
    expect(await inOneStatement(pool, CHECKOUT)).toEqual(outcome);
    expect(asked).toEqual(['checkout']);
  });

  it('knows nothing when the connection ends', async () => {
    await expect(inOneStatement(database({ checkout: sqlError('ECONNRESET') }).pool, CHECKOUT)).rejects.toThrow('ECONNRESET');
  });
});
