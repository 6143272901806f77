import { describe, expect, it } from '@jest/globals';
import type { BranchesRequest, SagaRequest } from '#libs/client';
import { checkSaga, type SagaStepSpec } from '#libs/protocol';
import { checkoutRequest } from '#libs/shop/checkout';
import type { Workload } from './contract.js';
import { transactionRequests } from './transaction-request.js';
import type { PlannedCheckout } from './workload.js';

const PLANNED: PlannedCheckout = {
  key: 'k-3', refusedBy: null, checkout: { orderId: 'o-1', customerId: 'c-3', sku: 's-4', quantity: 1, amountCents: 1 },
};
const WORKLOAD: Workload = { protocol: '2pc', participants: 3, refusalShare: 0, skew: 'uniform', payloadBytes: 0, seed: 1 };

const request = (workload: Partial<Workload>) => transactionRequests({ ...WORKLOAD, ...workload })(PLANNED);
const branches = (participants: number) => (request({ participants }) as BranchesRequest).branches;
const steps = (participants: number) => (request({ protocol: 'saga', participants }) as SagaRequest).steps;

describe('the request of a planned checkout', () => {
  it.each(['2pc', '3pc', 'paxos-commit', 'saga'] as const)('is that of the shop where three participants take part, %s', (protocol) => {
    expect(request({ protocol })).toEqual(checkoutRequest(protocol, PLANNED.checkout));
  });

  it('asks payments alone, or payments and orders, where there are fewer', () => {
    expect(branches(1).map((branch) => branch.participant)).toEqual(['payments']);
    expect(branches(2).map((branch) => branch.participant)).toEqual(['orders', 'payments']);
  });

  it('asks the extra participants to hold its key', () => {
    expect(branches(10).map((branch) => branch.participant)).toEqual(['orders', 'payments', 'inventory', ...[1, 2, 3, 4, 5, 6, 7].map((n) => `extra-${n}`)]);
    expect(branches(4)[3]).toEqual({ participant: 'extra-1', operation: 'hold', payload: { orderId: 'o-1', key: 'k-3', amount: 1 } });
  });

  it.each([1, 2, 3, 4, 10])('is a valid saga of %s participants', (participants) => {
    const filled = steps(participants).map((step) => ({ timeoutMs: 1, retry: { maxAttempts: 1, firstMs: 1, maxMs: 1 }, kind: 'compensatable', after: [], ...step }) as unknown as SagaStepSpec);
    expect(checkSaga({ steps: filled })).toEqual([]);
    expect(new Set(filled.map((step) => step.participant)).size).toBe(participants);
  });

  it('lets the pivot of a saga wait for all that can be undone', () => {
    expect(steps(5).find((step) => step.kind === 'pivot')!.after).toEqual(['place', 'reserve', 'hold-extra-1', 'hold-extra-2']);
    expect(steps(1).find((step) => step.kind === 'pivot')!.after).toEqual([]);
  });

  it('carries so many bytes for each branch, in the payload where that has room and else in the metadata', () => {
    const padded = request({ participants: 5, payloadBytes: 100 }) as BranchesRequest;
    expect((padded.metadata as { padding: string[] }).padding.map((text) => text.length)).toEqual([100, 100, 100]);
    expect(padded.branches.slice(3).map((branch) => (branch.payload as { padding: string }).padding.length)).toEqual([100, 100]);
    expect(padded.branches.slice(0, 3)).toEqual((request({}) as BranchesRequest).branches);
  });

  it('is padded with what cannot be compressed', () => {
    const { metadata } = request({ payloadBytes: 1_000 });
    const texts = (metadata as { padding: string[] }).padding;
    expect(new Set(texts).size).toBe(3);
    expect(new Set(texts[0]!).size).toBeGreaterThan(50);
  });
});
