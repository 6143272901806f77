import { describe, expect, it } from '@jest/globals';
import type { Workload } from './contract.js';
import { participantsOf, type PlannedCheckout, plannedCheckouts, SEEDED } from './workload.js';

const WORKLOAD: Workload = { protocol: '2pc', participants: 3, refusalShare: 0, skew: 'uniform', payloadBytes: 0, seed: 7 };

function drawn(count: number, workload: Partial<Workload> = {}, worker = 0): readonly PlannedCheckout[] {
  const next = plannedCheckouts({ workload: { ...WORKLOAD, ...workload }, worker, idPrefix: 'run' });
  return Array.from({ length: count }, next);
}

const counts = (values: readonly (string | null)[]): Map<string | null, number> => new Map([...Map.groupBy(values, (value) => value)].map(([value, list]) => [value, list.length]));

describe('the checkouts of a load test', () => {
  it('are the same for the same seed and worker', () => {
    expect(drawn(50, { refusalShare: 0.3 })).toEqual(drawn(50, { refusalShare: 0.3 }));
  });

  it('are others for another seed, and for another worker', () => {
    const skus = (list: readonly PlannedCheckout[]): readonly string[] => list.map(({ checkout }) => checkout.sku);
    expect(skus(drawn(20, { seed: 8 }))).not.toEqual(skus(drawn(20)));
    expect(skus(drawn(20, {}, 1))).not.toEqual(skus(drawn(20)));
  });

  it('never share an order id, and their ids sort as they were asked for', () => {
    const ids = [0, 1, 2].flatMap((worker) => drawn(1_000, {}, worker).map(({ checkout }) => checkout.orderId));
    expect(new Set(ids).size).toBe(3_000);
    expect(ids.toSorted()).toEqual(ids);
  });

  it('meet the same customers, whatever share is to be refused', () => {
    const customers = (refusalShare: number): readonly string[] => drawn(100, { refusalShare }).map(({ checkout }) => checkout.customerId);
    expect(customers(0.5)).toEqual(customers(0));
  });

  it('are within the seed data', () => {
    for (const skew of ['uniform', 'hot', { zipf: 1.1 }] as const) {
      for (const { checkout } of drawn(2_000, { skew })) {
        expect(Number(checkout.customerId.slice(2))).toBeLessThanOrEqual(SEEDED);
        expect(Number(checkout.sku.slice(2))).toBeLessThanOrEqual(SEEDED);
      }
    }
  });

  it('are spread over all customers and SKUs when they are to be uniform', () => {
    const list = drawn(20_000);
    for (const keys of [list.map(({ checkout }) => checkout.customerId), list.map(({ checkout }) => checkout.sku)]) {
      // Of 20,000 draws of 10,000 a share of e^-2 stays away.
      expect(Math.abs(new Set(keys).size / SEEDED - (1 - Math.exp(-2)))).toBeLessThan(0.02);
    }
  });

  it('meet at the first ones the more the steeper Zipf is', () => {
    const share = (exponent: number): number => counts(drawn(10_000, { skew: { zipf: exponent } }).map(({ checkout }) => checkout.sku)).get('s-1')! / 10_000;
    // 1 / (sum of r^-s for r up to 10,000)
    expect(share(1)).toBeCloseTo(0.102, 1.5);
    expect(share(2)).toBeCloseTo(0.608, 1.5);
  });

  it('all want one SKU when that is to be hot, for customers of all kinds', () => {
    const list = drawn(1_000, { skew: 'hot' });
    expect(new Set(list.map(({ checkout }) => checkout.sku))).toEqual(new Set(['s-1']));
    expect(new Set(list.map(({ checkout }) => checkout.customerId)).size).toBeGreaterThan(900);
  });

  it('all debit one customer when there is no SKU to be hot', () => {
    expect(new Set(drawn(100, { skew: 'hot', participants: 2 }).map(({ checkout }) => checkout.customerId))).toEqual(new Set(['c-1']));
  });

  it('are refused in the share that was asked for, by each who can refuse in turn', () => {
    const refusedBy = counts(drawn(10_000, { participants: 5, refusalShare: 0.2 }).map((planned) => planned.refusedBy));
    expect([...refusedBy.keys()].toSorted()).toEqual(['extra-1', 'extra-2', 'inventory', 'payments', null].toSorted());
    for (const [who, count] of refusedBy) expect(Math.abs(count - (who === null ? 8_000 : 500))).toBeLessThan(150);
  });

  it('ask for what the one who is to refuse does not have, and only for that', () => {
    const refused = Map.groupBy(drawn(2_000, { participants: 4, refusalShare: 0.5 }), (planned) => planned.refusedBy);
    const seen = (who: string | null, of: (planned: PlannedCheckout) => boolean): readonly boolean[] => [...new Set(refused.get(who)!.map(of))];
    const withoutFunds = ({ checkout }: PlannedCheckout): boolean => checkout.amountCents > 1_000_000;
    const withoutSku = ({ checkout }: PlannedCheckout): boolean => checkout.sku === 's-none';
    const withoutKey = ({ key }: PlannedCheckout): boolean => key === 'k-none';
    expect([null, 'payments', 'inventory', 'extra-1'].map((who) => [seen(who, withoutFunds), seen(who, withoutSku), seen(who, withoutKey)])).toEqual([
      [[false], [false], [false]], [[true], [false], [false]], [[false], [true], [false]], [[false], [false], [true]],
    ]);
  });
});

describe('the participants', () => {
  it('begin with payments, become the checkout, and go on with extra ones', () => {
    expect([1, 2, 3, 5].map((count) => participantsOf(count))).toEqual([
      ['payments'], ['payments', 'orders'], ['payments', 'orders', 'inventory'], ['payments', 'orders', 'inventory', 'extra-1', 'extra-2'],
    ]);
  });
});
