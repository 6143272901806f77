import type { BranchRequest, StepRequest, TransactionRequest } from '#libs/client';
import { checkoutRequest } from '#libs/shop/checkout';
import { Random } from '#libs/simulator';
import type { Workload } from './contract.js';
import { participantsOf, type PlannedCheckout } from './workload.js';

type Padding = () => string;

/** Of the text that paddings are cut from: longer than a page or a batch in which two of them could be told to be alike. */
const TEXT_LENGTH = 262_144;
const LETTERS = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';

/**
 * Planned checkouts as bodies of POST /v1/transactions, cut down to the workload's participants, or with its extra ones.
 *
 * `payloadBytes` are added for each branch (or step): to the payload of the extra participants' `hold`, which has a field for them. The
 * shop's schemas take no more fields, so the bytes of its branches travel in the transaction's metadata.
 */
export function transactionRequests({ protocol, participants, payloadBytes, seed }: Workload): (planned: PlannedCheckout) => TransactionRequest {
  const names = participantsOf(participants);
  const takesPart = ({ participant }: { readonly participant: string }): boolean => names.includes(participant);
  const extras = names.filter((name) => name.startsWith('extra-'));
  const padding = paddings(payloadBytes, seed);
  return ({ checkout, key }) => {
    const holds = extras.map((participant): BranchRequest => ({
      participant, operation: 'hold', payload: { orderId: checkout.orderId, key, amount: 1, ...(padding === null ? {} : { padding: padding() }) },
    }));
    if (protocol === 'saga') {
      const steps = checkoutRequest(protocol, checkout).steps.filter(takesPart);
      return { protocol, steps: withHolds(steps, holds), ...metadata(padding, steps.length) };
    }
    const branches = checkoutRequest(protocol, checkout).branches.filter(takesPart);
    return { protocol, branches: [...branches, ...holds], ...metadata(padding, branches.length) };
  };
}

/** The holds run beside the order and the reservation; the pivot waits for them, too, and for nobody who takes no part. */
function withHolds(steps: readonly (StepRequest & { readonly after: readonly string[] })[], holds: readonly BranchRequest[]): readonly StepRequest[] {
  const held = holds.map((hold): StepRequest => ({ id: `hold-${hold.participant}`, kind: 'compensatable', after: [], ...hold }));
  const ids = new Set(steps.map((step) => step.id));
  return [...held, ...steps.map((step) => ({
    ...step, after: [...step.after.filter((id) => ids.has(id)), ...(step.kind === 'pivot' ? held.map(({ id }) => id) : [])],
  }))];
}

function metadata(padding: Padding | null, parts: number): { readonly metadata?: unknown } {
  return padding === null ? {} : { metadata: { padding: Array.from({ length: parts }, padding) } };
}

/** Pieces of a random text, each from another place: what can be compressed would cost databases and brokers less than real payloads do. */
function paddings(bytes: number, seed: number): Padding | null {
  if (bytes === 0) return null;
  const random = new Random(seed, 0xffff);
  const text = Array.from({ length: TEXT_LENGTH + bytes }, () => LETTERS[random.below(LETTERS.length)]!).join('');
  return () => {
    const from = random.below(TEXT_LENGTH);
    return text.slice(from, from + bytes);
  };
}
