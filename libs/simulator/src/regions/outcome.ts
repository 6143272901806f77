/** What became of one transaction, as its client and the participants that were not lost saw it. */

/** What a participant did, in milliseconds since the client asked; null: never, within the run. */
export interface BranchTimes {
  readonly preparedAtMs: number | null;
  /** When the outcome was durable there. */
  readonly decidedAtMs: number | null;
  /** Its region was lost during the run. */
  readonly lost: boolean;
}

export interface TransactionTimes {
  readonly outcome: 'committed' | 'aborted' | null;
  readonly answeredAtMs: number | null;
  readonly branches: readonly BranchTimes[];
}

/**
 * committed, aborted   every participant that is left knew within the limit
 * late                 they found out without the lost region, but after the limit
 * blocked              a participant that is left held its branch in doubt (a saga: an effect that might yet be undone) until the region was back
 * nobody left          the lost region took all participants with it
 */
export type Fate = 'committed' | 'aborted' | 'late' | 'blocked' | 'nobody left';
export const FATES: readonly Fate[] = ['committed', 'aborted', 'late', 'blocked', 'nobody left'];

export interface Clock {
  /** When the region was lost (0 or less: before the client asked), and when it came back. Milliseconds since the client asked. */
  readonly lostAtMs: number;
  readonly backAtMs: number;
  readonly limitMs: number;
}

export function fateOf({ outcome, branches }: TransactionTimes, { lostAtMs, backAtMs, limitMs }: Clock): Fate {
  const left = branches.filter(({ lost }) => !lost);
  if (left.length === 0) return 'nobody left';
  // A branch that never prepared holds nothing: it may not have heard of the transaction at all.
  const involved = left.filter(({ preparedAtMs }) => preparedAtMs !== null);
  const knownAtMs = Math.max(0, ...involved.map(({ decidedAtMs }) => decidedAtMs ?? Number.POSITIVE_INFINITY));
  if (knownAtMs >= backAtMs) return 'blocked';
  if (knownAtMs > Math.max(0, lostAtMs) + limitMs) return 'late';
  return outcome === 'committed' ? 'committed' : 'aborted';
}

/** The longest that a participant outside the lost region was in doubt. Milliseconds. */
export function longestInDoubtMs({ branches }: TransactionTimes): number {
  return Math.max(0, ...branches.filter(({ lost }) => !lost).map(({ preparedAtMs, decidedAtMs }) =>
    (preparedAtMs === null ? 0 : (decidedAtMs ?? Number.POSITIVE_INFINITY) - preparedAtMs)));
}

/** The nearest-rank percentile; NaN of nothing. */
export function percentile(values: readonly number[], share: number): number {
  if (values.length === 0) return Number.NaN;
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)]!;
}
