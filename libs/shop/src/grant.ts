import { type StepResult, vote } from '#libs/participant';

export interface Wish {
  readonly key: string;
  readonly amount: number;
}

export interface Granted {
  /** One per wish. */
  readonly votes: readonly StepResult[];
  /** What was granted, per key, keys in order. */
  readonly totals: Totals;
}

/** Two columns for `unnest`. */
export interface Totals {
  readonly keys: readonly string[];
  readonly amounts: readonly number[];
}

/**
 * Grants wishes in their order while what is free at their key lasts; a wish that is too big is refused and takes nothing, so a
 * smaller one after it may still be granted.
 * @param free what each existing key has; keys that are missing do not exist
 */
export function grantInOrder(wishes: readonly Wish[], free: ReadonlyMap<string, number>, refusal: { readonly unknown: string; readonly short: string }): Granted {
  const left = new Map(free);
  const granted: Wish[] = [];
  const votes = wishes.map((wish) => {
    const available = left.get(wish.key);
    if (available === undefined) return vote.no(refusal.unknown, `there is no ${wish.key}`);
    if (available < wish.amount) return vote.no(refusal.short, `${wish.key} has ${available}, needed are ${wish.amount}`);
    left.set(wish.key, available - wish.amount);
    granted.push(wish);
    return vote.yes();
  });
  return { votes, totals: totalsOf(granted) };
}

/** Sums per key, keys in order: statements that run at the same time then lock rows in the same order. */
export function totalsOf(wishes: readonly Wish[]): Totals {
  const sums = new Map<string, number>();
  for (const { key, amount } of wishes) sums.set(key, (sums.get(key) ?? 0) + amount);
  const keys = [...sums.keys()].sort();
  return { keys, amounts: keys.map((key) => sums.get(key)!) };
}

/** Each once, in order. */
export function sortedKeys(keys: readonly string[]): readonly string[] {
  return [...new Set(keys)].sort();
}
