// What the clients of a chaos run ask for: mostly checkouts that can succeed, some that must not.
import type { ProtocolName } from '../../libs/protocol/src/messages.ts';
import { checkoutRequest } from '../../libs/shop/src/checkout-request.ts';
import { Random } from '../../libs/simulator/src/world/random.ts';

/** Whether a participant must refuse it; `duplicate` asks for an order that is there already, if it got through. */
export type Wish = 'whole' | 'pair' | 'single' | 'no-funds' | 'no-stock' | 'unknown-sku' | 'duplicate';
/** once: one call. twice: the same key through two coordinators at the same time. */
export type Manner = 'once' | 'twice';

export interface PlannedRequest {
  readonly n: number;
  readonly protocol: ProtocolName;
  readonly wish: Wish;
  readonly manner: Manner;
  readonly key: string;
  readonly body: unknown;
}

export type Weights = ReadonlyMap<ProtocolName, number>;

const WISHES: readonly (readonly [Wish, number])[] = [['whole', 79], ['pair', 5], ['single', 4], ['no-funds', 4], ['no-stock', 3], ['unknown-sku', 3], ['duplicate', 2]];
const SEEDED = 10_000;
/** A tenth of the checkouts meet at these. */
const HOT = 3;

/** Must never commit. */
export function mustBeRefused(wish: Wish): boolean {
  return wish === 'no-funds' || wish === 'no-stock' || wish === 'unknown-sku';
}

/** The requests of a run by their number: a function of its seed. @param run makes keys and order ids unique among runs */
export function requestSource(run: string, seed: number, weights: Weights): (n: number) => PlannedRequest {
  return (n) => {
    const random = new Random((seed + n * 7919) >>> 0, 1);
    const protocol = draw(random, [...weights]);
    const wish = draw(random, WISHES);
    const hot = random.chance(0.1);
    const pick = (): number => 1 + random.below(hot ? HOT : SEEDED);
    const customer = pick();
    const sku = pick();
    const checkout = {
      // A while ago, so that it has been answered.
      orderId: `${run}-${wish === 'duplicate' ? Math.max(0, n - random.int(200, 400)) : n}`,
      customerId: `c-${customer}`,
      sku: wish === 'unknown-sku' ? 's-none' : `s-${sku}`,
      quantity: wish === 'no-stock' ? 2_000_000 : 1,
      amountCents: wish === 'no-funds' ? 2_000_000 : 100,
    };
    return { n, protocol, wish, manner: random.chance(0.03) ? 'twice' : 'once', key: `${run}-${n}`, body: bodyOf(wish, checkoutRequest(protocol, checkout)) };
  };
}

/** `pair` leaves the order out, `single` asks payments alone: of two-phase commit the one-phase way. */
function bodyOf(wish: Wish, whole: ReturnType<typeof checkoutRequest>): unknown {
  if (wish === 'pair') return only(whole, ['payments', 'inventory']);
  return wish === 'single' ? only(whole, ['payments']) : whole;
}

/** What is left of a checkout for these participants. */
export function only(whole: ReturnType<typeof checkoutRequest>, participants: readonly string[]): unknown {
  if (whole.protocol !== 'saga') return { protocol: whole.protocol, branches: whole.branches.filter((branch) => participants.includes(branch.participant)) };
  const steps = whole.steps.filter((step) => participants.includes(step.participant));
  return { protocol: whole.protocol, steps: steps.map((step) => ({ ...step, after: step.after.filter((id) => steps.some((other) => other.id === id)) })) };
}

function draw<T>(random: Random, weighted: readonly (readonly [T, number])[]): T {
  let left = random.next() * weighted.reduce((sum, [, weight]) => sum + weight, 0);
  return (weighted.find(([, weight]) => (left -= weight) < 0) ?? weighted.at(-1)!)[0];
}
