import { randomUUID } from 'node:crypto';
import { type AtomicCheckout, type Checkout, checkoutRequest as requestOf, type SagaCheckout } from '#libs/shop/checkout';

export type CheckoutOptions = Partial<Checkout>;

/** One checkout over orders, payments and inventory, as the body of POST /v1/transactions: of api.md's example, by default. */
export function checkoutRequest(options?: CheckoutOptions): AtomicCheckout;
export function checkoutRequest(options: CheckoutOptions, protocol: AtomicCheckout['protocol']): AtomicCheckout;
export function checkoutRequest(options: CheckoutOptions, protocol: SagaCheckout['protocol']): SagaCheckout;
export function checkoutRequest(options: CheckoutOptions, protocol: (AtomicCheckout | SagaCheckout)['protocol']): AtomicCheckout | SagaCheckout;
export function checkoutRequest(options: CheckoutOptions = {}, protocol: (AtomicCheckout | SagaCheckout)['protocol'] = '2pc'): AtomicCheckout | SagaCheckout {
  return requestOf(protocol, { orderId: `o-${randomUUID()}`, customerId: 'c-1', sku: 's-1', quantity: 1, amountCents: 1000, ...options });
}
