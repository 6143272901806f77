import type { Checkout } from '#libs/shop/checkout';

const SEEDED = 10_000;

/** Random customers and SKUs of the seed; order ids never repeat between runs. */
export function checkoutSource(run: string): () => Checkout {
  let next = 0;
  const pick = (): number => 1 + Math.floor(Math.random() * SEEDED);
  return () => ({ orderId: `${run}-${next++}`, customerId: `c-${pick()}`, sku: `s-${pick()}`, quantity: 1, amountCents: 100 });
}
