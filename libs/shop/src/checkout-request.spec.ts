import { describe, expect, it } from '@jest/globals';
import { defineParticipant } from '#libs/participant';
import { checkSaga, type Json } from '#libs/protocol';
import { type CheckoutBranch, checkoutRequest } from './checkout-request.js';
import { InventoryParticipant } from './inventory/inventory.participant.js';
import { OrdersParticipant } from './orders/orders.participant.js';
import { PaymentsParticipant } from './payments/payments.participant.js';

const CHECKOUT = { orderId: 'o-1', customerId: 'c-1', sku: 's-1', quantity: 2, amountCents: 300 };
const services = {
  orders: defineParticipant('orders', [new OrdersParticipant()]), payments: defineParticipant('payments', [new PaymentsParticipant()]), inventory: defineParticipant('inventory', [new InventoryParticipant()]),
};
const operationOf = ({ participant, operation }: CheckoutBranch) => services[participant].get(operation)!;

describe('the body of a checkout', () => {
  it.each(['2pc', '3pc', 'paxos-commit'] as const)('of %s has one branch per service, each with a payload that its operation takes', (protocol) => {
    const { branches } = checkoutRequest(protocol, CHECKOUT);
    expect(branches.map(({ participant, operation }) => `${participant}.${operation}`)).toEqual(['orders.place', 'payments.debit', 'inventory.reserve']);
    for (const branch of branches) {
      expect(operationOf(branch).branch).not.toBeNull();
      expect(operationOf(branch).checkPayload(branch.payload as Json)).toBeNull();
    }
  });

  it('of a saga is a valid definition, of steps that the services offer as that kind', () => {
    const { steps } = checkoutRequest('saga', CHECKOUT);
    const defaults = { timeoutMs: 1_000, retry: { maxAttempts: 3, firstMs: 100, maxMs: 1_000 } };
    expect(checkSaga({ steps: steps.map((step) => ({ ...step, ...defaults })) })).toEqual([]);
    expect(steps.map(({ participant, operation, kind }) => `${participant}.${operation} ${kind}`)).toEqual(['orders.place compensatable', 'inventory.reserve compensatable', 'payments.debit pivot', 'orders.confirm retriable']);
    for (const step of steps) {
      expect(operationOf(step).step!.compensate !== null).toBe(step.kind === 'compensatable');
      expect(operationOf(step).checkPayload(step.payload as Json)).toBeNull();
    }
  });
});
