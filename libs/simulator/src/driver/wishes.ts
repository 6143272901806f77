import type { BranchSpec, ProtocolName, SagaStepKind, SagaStepSpec } from '#libs/protocol';
import type { Wish } from './client.js';
import { OPERATIONS } from './handlers.js';
import type { Random } from './random.js';

/** What one client wants, of one of the protocols. */
export function drawWish(number: number, random: Random, sites: readonly string[], protocols: readonly ProtocolName[]): Wish {
  const protocol = protocols.length === 1 ? protocols[0]! : random.pick(protocols);
  const count = random.chance(0.15) ? 1 : 2 + random.below(Math.max(sites.length - 1, 1));
  const common = { timeoutMs: random.pick([300, 2_000, 5_000]), waitFor: random.chance(0.3) ? 'finished' : 'decided' } as const;
  const acts = protocol === 'saga' ? (['CANCEL', 'RETRY_NOW', 'SKIP_STEP'] as const) : (['CANCEL', 'RESOLVE', 'RETRY_NOW'] as const);
  const request = protocol === 'saga'
    ? { ...common, protocol, steps: drawSteps(random, sites, count), compensationTimeoutMs: random.pick([500, 5_000]), attentionAfterAttempts: random.pick([2, 20]) }
    : { ...common, protocol, branches: Array.from({ length: count }, () => drawBranch(random, sites)) };
  return {
    number, request,
    hasKey: random.chance(0.7),
    act: random.chance(0.2) ? { kind: random.pick(acts), afterMs: random.next() * 500 } : null,
    patienceMs: random.pick([200, 1_000, 5_000]),
  };
}

function drawBranch(random: Random, sites: readonly string[]): BranchSpec {
  return { participant: random.pick(sites), operation: random.chance(0.7) ? 'take' : random.pick(OPERATIONS), payload: null };
}

/** Compensatable steps, perhaps a pivot, then retriable ones, which never refuse. */
function drawSteps(random: Random, sites: readonly string[], count: number): readonly SagaStepSpec[] {
  const before = random.below(count + 1);
  const hasPivot = before < count && random.chance(0.6);
  return Array.from({ length: count }, (_, i) => {
    const kind: SagaStepKind = i < before ? 'compensatable' : i === before && hasPivot ? 'pivot' : 'retriable';
    return {
      id: `s${i}`, participant: random.pick(sites), payload: null, kind,
      operation: kind === 'retriable' ? 'note' : random.chance(0.7) ? 'take' : random.pick(['note', 'refuse'] as const),
      ...(kind === 'compensatable' && i > 0 && random.chance(0.3) ? { after: [] } : {}),
      timeoutMs: random.pick([500, 3_000]),
      retry: { maxAttempts: random.pick([1, 3, 10]), firstMs: 100, maxMs: 1_000 },
    };
  });
}
