import { describe, expect, it } from '@jest/globals';
import { type Column, copySql, numbersSql, orderIdOf, type Population, takeSql } from './fill-sql.ts';
import { firstUuidAt } from '#libs/postgres';

const pattern = { txid: '0000', orderId: 'pattern-1', customerId: 'c-1', sku: 's-1' };
const population: Population = { prefix: 'old', from: 100, to: 200, fromMs: 1_000, stepMs: 0.5, shards: [3, 7] };
const selected = (...columns: readonly Column[]): string => /SELECT (.*)\n/.exec(copySql('t', columns, 'true', pattern, population, { state: "'prepared'" }))![1]!;

describe('a copy of the pattern', () => {
  it('has an id, an order and a time of its own, and otherwise what the pattern has', () => {
    expect(selected({ name: 'txid', type: 'uuid' }, { name: 'order_id', type: 'text' }, { name: 'created_at', type: 'timestamp with time zone' }, { name: 'protocol', type: 'text' }))
      .toBe(`n.txid, n.order_id, to_timestamp(n.ms / 1000.0), p."protocol"`);
  });

  it('tells its own order, customer and goods wherever the pattern told its', () => {
    expect(selected({ name: 'payload', type: 'jsonb' })).toBe(
      `replace(replace(replace(p."payload"::text, '"pattern-1"', '"' || n.order_id || '"'), '"c-1"', '"' || n.customer_id || '"'), '"s-1"', '"' || n.sku || '"')::jsonb`);
    expect(selected({ name: 'timeline', type: 'json', isPlain: true })).toBe('p."timeline"');
  });

  it('differs where it is told to', () => {
    expect(selected({ name: 'state', type: 'text' })).toBe("'prepared'");
  });
});

describe('a population', () => {
  it('is numbered up to, and without, its end', () => {
    expect(numbersSql(population)).toContain('generate_series(100, 199)');
    expect(orderIdOf('old', 42)).toBe('old-000000042');
  });

  it('takes what is free, and holds it while it is not committed', () => {
    expect(takeSql('stock', population, false)).toMatch(/^UPDATE stock AS t SET available = available - taken\s+FROM/);
    expect(takeSql('account', population, true)).toContain('SET balance_cents = balance_cents - taken, held_cents = held_cents + taken');
  });
});

describe('the first uuid of a millisecond', () => {
  it('is below every txid of it, and above those before', () => {
    expect(firstUuidAt(0x0123_4567_89ab)).toBe('01234567-89ab-0000-0000-000000000000');
    expect(firstUuidAt(1.2)).toBe(firstUuidAt(2));
  });
});
