import type { Checkout } from '#libs/shop/checkout';
import { Random } from '#libs/simulator';
import type { Assignment, Skew } from './contract.js';
import { zipf } from './zipf.js';

/** One checkout, and how it is to end. */
export interface PlannedCheckout {
  readonly checkout: Checkout;
  /** What the participants beyond the shop's three are to hold. */
  readonly key: string;
  /** Who must refuse it; null: nobody has a reason to. */
  readonly refusedBy: string | null;
}

/** Of the customers, SKUs and keys of the seed data. */
export const SEEDED = 10_000;
/**
 * A cent and a piece of the million that each customer and SKU has: what many meet at must last for the whole run, else it ends in refusals
 * that nobody asked for.
 */
const SMALL = 1;
/** More than anybody has, and what the schema of payments takes at most. */
const TOO_MUCH_CENTS = 1_000_000_000_000;
export const UNKNOWN_SKU = 's-none';
export const UNKNOWN_KEY = 'k-none';

/** Uses of one seed that must not disturb each other: with other refusals the keys stay as they are. */
const STREAMS = { keys: 0, refusals: 1, count: 2 } as const;

/** 1: payments alone, 2: with orders, 3: the checkout, then `extra-1`, `extra-2`, ... */
export function participantsOf(count: number): readonly string[] {
  const shop = ['payments', 'orders', 'inventory'];
  return Array.from({ length: count }, (_, i) => shop[i] ?? `extra-${i - 2}`);
}

/**
 * The checkouts of one worker, in an order that its seed and number fix. Refusals are spread evenly over those who can refuse: payments
 * (INSUFFICIENT_FUNDS), inventory (UNKNOWN_SKU), each extra participant (UNKNOWN_KEY). orders cannot be made to: whether there is such an
 * order already would depend on which request comes first.
 * @returns the next one, at each call
 */
export function plannedCheckouts({ workload, worker, idPrefix }: Pick<Assignment, 'workload' | 'worker' | 'idPrefix'>): () => PlannedCheckout {
  const { seed, participants, refusalShare, skew } = workload;
  const random = (use: number): Random => new Random(seed, worker * STREAMS.count + use);
  const [keys, refusals] = [random(STREAMS.keys), random(STREAMS.refusals)];
  const refusers = participantsOf(participants).filter((name) => name !== 'orders');
  const pick = picker(skew, participants, keys);
  let n = 0;
  return () => {
    // In the order of time as text, too: the indexes on it grow at one edge.
    const orderId = `${idPrefix}-${worker}-${String(n++).padStart(9, '0')}`;
    const { customer, sku } = pick();
    const refusedBy = refusals.chance(refusalShare) ? refusals.pick(refusers) : null;
    const checkout: Checkout = {
      orderId, customerId: `c-${customer}`, sku: refusedBy === 'inventory' ? UNKNOWN_SKU : `s-${sku}`, quantity: SMALL,
      amountCents: refusedBy === 'payments' ? TOO_MUCH_CENTS : SMALL,
    };
    return { checkout, key: refusedBy?.startsWith('extra-') === true ? UNKNOWN_KEY : `k-${customer}`, refusedBy };
  };
}

/** Numbers from 1 to SEEDED. `hot`: the one SKU; where inventory takes no part, the one customer. */
function picker(skew: Skew, participants: number, random: Random): () => { readonly customer: number; readonly sku: number } {
  const uniform = (): number => 1 + random.below(SEEDED);
  if (skew === 'uniform') return () => ({ customer: uniform(), sku: uniform() });
  if (skew === 'hot') return participants < 3 ? () => ({ customer: 1, sku: uniform() }) : () => ({ customer: uniform(), sku: 1 });
  const rank = zipf(SEEDED, skew.zipf);
  return () => ({ customer: 1 + rank(random.next()), sku: 1 + rank(random.next()) });
}
