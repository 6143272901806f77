/** What a check may let go wrong. Everything else about an exploration is up to the protocol: every order of what is left is tried. */

export interface Bounds {
  /** Crashes of any processes, together. A crashed process may come back at any later moment, or never. */
  readonly crashes: number;
  /**
   * `idle`: between two steps only. `all`: also before a step's write, and after it before the first or any later send. For the safety
   * properties `idle` is enough (docs/checker.md says why); the other points matter to what is left to do afterwards.
   */
  readonly crashPoints: 'idle' | 'all';
  /** Take-overs of the coordinator's shard. The owner that is replaced lives on and does not know it. */
  readonly takeOvers: number;
  /** Messages that are dropped. A message that is merely never delivered costs nothing, see docs/checker.md. */
  readonly losses: number;
  /** Deliveries after which a copy stays in flight. `unlimited`: every message may come again, any number of times, for ever. */
  readonly duplicates: number | 'unlimited';
  /** Firings of all timers of one name together, where `timers` does not say otherwise. */
  readonly firings: number;
  /** By the name of a timer (`resend`), or of one role's timer (`resolve at participant 1`), which then counts apart. */
  readonly timers: Readonly<Record<string, number>>;
  /** By timer name: firings are counted from this one on. The firings before it do nothing but send, which is as good as lost. */
  readonly firstAttempts: Readonly<Record<string, number>>;
  /**
   * When a process steps what its store told it about a write. `any time`: after any other inputs that it took meanwhile. `at once`: first
   * of all, as a process does that had nothing else to do while it waited for its flush.
   */
  readonly feedback: 'any time' | 'at once';
  /** CANCEL, RETRY_NOW, RESOLVE, ..., together. */
  readonly commands: number;
  /** Requests of the client for the same transaction. */
  readonly starts: number;
  /** What the clocks show, in this order, milliseconds: time passes at any moment, everywhere at once. */
  readonly times: readonly number[];
  /** Where the exploration gives up. It then says that it has not seen everything. */
  readonly mostStates: number;
  /** From every k-th state on everything is healed and must end. 0: never. */
  readonly healEvery: number;
}

export const DEFAULT_BOUNDS: Bounds = {
  crashes: 1, crashPoints: 'all', takeOvers: 1, losses: 0, duplicates: 0, firings: 1, timers: {}, firstAttempts: {}, feedback: 'any time', commands: 0, starts: 1, times: [0],
  mostStates: 20_000_000, healEvery: 1,
};

/** Sizes that the checker's tables can hold. */
const LIMITS = {
  crashes: [0, 7], takeOvers: [0, 2], losses: [0, 7], firings: [0, 7], commands: [0, 7], starts: [0, 7], mostStates: [1, 200_000_000], healEvery: [0, 1_000_000_000],
} as const satisfies Partial<Record<keyof Bounds, readonly [number, number]>>;

export class BoundsError extends Error {
  readonly code = 'IMPOSSIBLE_BOUNDS';
  constructor(name: string, value: unknown, allowed: string) {
    super(`${name} is ${JSON.stringify(value)}; allowed is ${allowed}`);
    this.name = 'BoundsError';
  }
}

/** @throws BoundsError naming the bound and what it may be */
export function boundsOf(some: Partial<Bounds>): Bounds {
  const bounds = { ...DEFAULT_BOUNDS, ...some };
  const unknown = Object.keys(some).find((name) => !(name in DEFAULT_BOUNDS));
  if (unknown !== undefined) throw new BoundsError(unknown, some[unknown as keyof Bounds], `none of that name, but ${Object.keys(DEFAULT_BOUNDS).join(', ')}`);
  for (const [name, [least, most]] of Object.entries(LIMITS)) wholeWithin(name, bounds[name as keyof typeof LIMITS], least, most);
  for (const [name, count] of Object.entries(bounds.timers)) wholeWithin(`timers.${name}`, count, ...LIMITS.firings);
  for (const [name, count] of Object.entries(bounds.firstAttempts)) wholeWithin(`firstAttempts.${name}`, count, 0, 100);
  if (bounds.duplicates !== 'unlimited') wholeWithin('duplicates', bounds.duplicates, 0, 7, " or 'unlimited'");
  if (bounds.crashPoints !== 'idle' && bounds.crashPoints !== 'all') throw new BoundsError('crashPoints', bounds.crashPoints, "'idle' or 'all'");
  if (bounds.feedback !== 'any time' && bounds.feedback !== 'at once') throw new BoundsError('feedback', bounds.feedback, "'any time' or 'at once'");
  const { times } = bounds;
  if (times.length < 1 || times.length > 4 || times.some((time, i) => !Number.isFinite(time) || (i > 0 && time <= times[i - 1]!))) {
    throw new BoundsError('times', times, 'one to four rising numbers of milliseconds');
  }
  return bounds;
}

function wholeWithin(name: string, value: number, least: number, most: number, or = ''): void {
  if (!Number.isInteger(value) || value < least || value > most) throw new BoundsError(name, value, `a whole number from ${least} to ${most}${or}`);
}
