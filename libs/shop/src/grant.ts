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

/** What grantMost needs of the table. */
export interface Shelf {
  /** Takes these amounts where that much is free; answers at which keys it was. */
  take(totals: Totals): Promise<ReadonlySet<string>>;
  /** Locks, and tells what each existing key has free. */
  look(keys: readonly string[]): Promise<ReadonlyMap<string, number>>;
}

/** As grantInOrder, and takes what is granted: in one statement, unless some key is missing or has not enough for all of its wishes. */
export async function grantMost(wishes: readonly Wish[], { take, look }: Shelf, refusal: Parameters<typeof grantInOrder>[2]): Promise<readonly StepResult[]> {
  const totals = totalsOf(wishes);
  const taken = await take(totals);
  if (taken.size === totals.keys.length) return wishes.map(() => vote.yes());
  const scarce = wishes.filter(({ key }) => !taken.has(key));
  const { votes, totals: rest } = grantInOrder(scarce, await look(sortedKeys(scarce.map(({ key }) => key))), refusal);
  if (rest.keys.length > 0 && (await take(rest)).size !== rest.keys.length) throw new Error('rows that are locked have changed');
  const voteOf = new Map(scarce.map((wish, i) => [wish, votes[i]!]));
  return wishes.map((wish) => voteOf.get(wish) ?? vote.yes());
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
