import { randomUUID } from 'node:crypto';
import type { SagaRequest, TransactionRequest } from '#libs/client';
import { checkoutRequest } from '../../libs/shop/src/checkout-request.ts';
import type { ProtocolName } from '../../libs/protocol/src/messages.ts';
import { TIMEOUT_MS } from './stage.ts';
import type { Ask } from './traffic.ts';

export function checkouts(protocol: ProtocolName, count: number, timeoutMs = TIMEOUT_MS): readonly Ask[] {
  return times(count, () => ({ request: request(protocol, checkout(), timeoutMs), refused: false }));
}

/** Half of them refused by payments, half by inventory, or all by one. */
export function refusals(protocol: ProtocolName, count: number, by: 'either' | 'inventory' = 'either'): readonly Ask[] {
  return times(count, (i) => {
    const changed = by === 'either' && i % 2 === 0 ? { amountCents: 2_000_000 } : { sku: 's-none' };
    return { request: request(protocol, { ...checkout(), ...changed }, TIMEOUT_MS), refused: true };
  });
}

/** Of one branch. */
export function debits(count: number, timeoutMs = TIMEOUT_MS, amountCents = 1_000): readonly Ask[] {
  return times(count, () => ({ request: { protocol: '2pc', timeoutMs, branches: [debit(amountCents)] }, refused: amountCents > 1_000_000 }));
}

export function refusedDebits(count: number): readonly Ask[] {
  return debits(count, TIMEOUT_MS, 2_000_000);
}

/** The money is taken if the pieces are there: inventory votes read-only. */
export function checkedDebits(protocol: ProtocolName, count: number): readonly Ask[] {
  return times(count, () => ({
    request: { protocol, timeoutMs: TIMEOUT_MS, branches: [debit(1_000), { participant: 'inventory', operation: 'check', payload: { sku: checkout().sku, quantity: 1 } }] }, refused: false,
  }));
}

/** Sagas that soon give this step up, before the decision, or soon call for a person because of it. */
export function impatientSagas(count: number, hasty: 'debit' | 'confirm'): readonly Ask[] {
  return checkouts('saga', count).map(({ request: saga, refused }) => {
    const steps = (saga as SagaRequest).steps.map((step) => (step.id === hasty ? { ...step, retry: { maxAttempts: 2, firstMs: 50, maxMs: 200 } } : step));
    return { request: { ...saga, attentionAfterAttempts: 2, steps } as SagaRequest, refused };
  });
}

function debit(amountCents: number) {
  const { orderId, customerId } = checkout();
  return { participant: 'payments', operation: 'debit', payload: { orderId, customerId, amountCents } };
}

function request(protocol: ProtocolName, wanted: ReturnType<typeof checkout>, timeoutMs: number): TransactionRequest {
  return { ...checkoutRequest(protocol, wanted), timeoutMs } as TransactionRequest;
}

let customers = 0;

/** Each of a customer of its own; SKUs are shared by many. */
function checkout() {
  customers += 1;
  return { orderId: `o-${randomUUID()}`, customerId: `c-${1 + (customers % 10_000)}`, sku: `s-${1 + (customers % 50)}`, quantity: 1, amountCents: 1_000 };
}

function times<T>(count: number, make: (i: number) => T): readonly T[] {
  return Array.from({ length: count }, (_, i) => make(i));
}
