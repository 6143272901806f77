import { randomUUID } from 'node:crypto';

export interface CheckoutOptions {
  readonly orderId?: string;
  readonly customerId?: string;
  readonly sku?: string;
  readonly quantity?: number;
  readonly amountCents?: number;
}

/** The body of api.md's example: one checkout over orders, payments and inventory. */
export function checkoutRequest(options: CheckoutOptions = {}) {
  const { orderId = `o-${randomUUID()}`, customerId = 'c-1', sku = 's-1', quantity = 1, amountCents = 1000 } = options;
  return {
    protocol: '2pc',
    branches: [
      { participant: 'orders', operation: 'place', payload: { orderId, customerId, sku, quantity, amountCents } },
      { participant: 'payments', operation: 'debit', payload: { orderId, customerId, amountCents } },
      { participant: 'inventory', operation: 'reserve', payload: { orderId, sku, quantity } },
    ],
  };
}
