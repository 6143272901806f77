import { describe, expect, it } from '@jest/globals';
import { checkoutRequest } from '../../libs/shop/src/checkout-request.js';
import { only, type PlannedRequest, requestSource } from './requests.js';

const weights = new Map([['2pc', 1], ['saga', 1]] as const);
const requests = (seed: number): PlannedRequest[] => Array.from({ length: 3_000 }, (_, n) => requestSource('r', seed, weights)(n));

describe('the requests of a chaos run', () => {
  it('are a function of the seed and their number', () => {
    expect(requests(1)).toEqual(requests(1));
    expect(requests(1)).not.toEqual(requests(2));
  });

  it('use the protocols by their weights, and hold all kinds of wishes', () => {
    const all = requests(5);
    const sagas = all.filter((r) => r.protocol === 'saga').length;
    expect(sagas).toBeGreaterThan(1_350);
    expect(sagas).toBeLessThan(1_650);
    expect(new Set(all.map((r) => r.wish))).toEqual(new Set(['whole', 'pair', 'single', 'no-funds', 'no-stock', 'unknown-sku', 'duplicate']));
    expect(all.filter((r) => r.manner === 'twice').length).toBeGreaterThan(50);
    expect(new Set(all.map((r) => r.key)).size).toBe(all.length);
  });

  it('leave nothing behind that refers to a step that is not asked for', () => {
    const whole = checkoutRequest('saga', { orderId: 'o', customerId: 'c', sku: 's', quantity: 1, amountCents: 1 });
    expect(only(whole, ['payments', 'inventory'])).toMatchObject({ steps: [{ id: 'reserve', after: [] }, { id: 'debit', after: ['reserve'] }] });
    expect(only(whole, ['payments'])).toMatchObject({ steps: [{ id: 'debit', after: [] }] });
  });
});
