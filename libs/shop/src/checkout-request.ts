/** What the shop sells in one go. */
export interface Checkout {
  readonly orderId: string;
  readonly customerId: string;
  readonly sku: string;
  readonly quantity: number;
  readonly amountCents: number;
}

/** One part of a checkout, at one participant. */
export interface CheckoutBranch {
  readonly participant: 'orders' | 'payments' | 'inventory';
  readonly operation: string;
  readonly payload: Readonly<Record<string, string | number>>;
}

export interface CheckoutStep extends CheckoutBranch {
  readonly id: string;
  readonly kind: 'compensatable' | 'pivot' | 'retriable';
  readonly after: readonly string[];
}

export interface AtomicCheckout {
  readonly protocol: '2pc' | '3pc' | 'paxos-commit';
  readonly branches: readonly CheckoutBranch[];
}

export interface SagaCheckout {
  readonly protocol: 'saga';
  readonly steps: readonly CheckoutStep[];
}

// No imports here: tools that run before the build, and the load generator, take this file without the shop's modules.

/** One checkout as the body of POST /v1/transactions: order, pay and reserve, all of it or none of it. */
export function checkoutRequest(protocol: AtomicCheckout['protocol'], checkout: Checkout): AtomicCheckout;
export function checkoutRequest(protocol: SagaCheckout['protocol'], checkout: Checkout): SagaCheckout;
export function checkoutRequest(protocol: (AtomicCheckout | SagaCheckout)['protocol'], checkout: Checkout): AtomicCheckout | SagaCheckout;
export function checkoutRequest(protocol: (AtomicCheckout | SagaCheckout)['protocol'], { orderId, customerId, sku, quantity, amountCents }: Checkout): AtomicCheckout | SagaCheckout {
  const place: CheckoutBranch = { participant: 'orders', operation: 'place', payload: { orderId, customerId, sku, quantity, amountCents } };
  const debit: CheckoutBranch = { participant: 'payments', operation: 'debit', payload: { orderId, customerId, amountCents } };
  const reserve: CheckoutBranch = { participant: 'inventory', operation: 'reserve', payload: { orderId, sku, quantity } };
  if (protocol !== 'saga') return { protocol, branches: [place, debit, reserve] };
  return {
    protocol,
    steps: [
      // Neither needs the other, so they run side by side.
      { id: 'place', kind: 'compensatable', after: [], ...place },
      { id: 'reserve', kind: 'compensatable', after: [], ...reserve },
      // What cannot be undone without the customer noticing comes when nothing else can refuse.
      { id: 'debit', kind: 'pivot', after: ['place', 'reserve'], ...debit },
      { id: 'confirm', kind: 'retriable', after: ['debit'], participant: 'orders', operation: 'confirm', payload: { orderId } },
    ],
  };
}
