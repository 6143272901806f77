/** Walks every state that a machine can reach by any sequence of the given inputs, expected or not. */
import { UnexpectedInputError } from '../src/index.js';

interface Step<State> { readonly state: State; readonly ready: object; readonly ignored?: string }

export interface Exploration {
  readonly states: number;
  readonly refusals: number;
  /** The ignore rules that applied at least once. */
  readonly ignores: ReadonlySet<string>;
}

/**
 * Gives every input to every reachable state, twice. Throws when a step throws anything but an UnexpectedInputError,
 * changes its arguments (they are frozen), differs the second time, or owes something or moves when it ignores its input.
 * @param sameAs states with the same text are explored once; leave out what only counts
 */
export function explore<State, Input>(
  initial: State, inputs: readonly Input[], step: (state: State, input: Input) => Step<State>, sameAs: (state: State) => string,
): Exploration {
  const seen = new Map([[sameAs(initial), deepFreeze(initial)]]);
  const ignores = new Set<string>();
  let refusals = 0;
  deepFreeze(inputs);
  for (const state of seen.values()) {
    for (const input of inputs) {
      const first = attempt(() => step(state, input));
      if (JSON.stringify(first) !== JSON.stringify(attempt(() => step(state, input)))) throw new Error(`not deterministic: ${show(state, input)}`);
      if ('refused' in first) {
        refusals += 1;
        continue;
      }
      if (first.ignored !== undefined) checkIgnored(state, input, first, ignores);
      const key = sameAs(first.state);
      if (!seen.has(key)) seen.set(key, deepFreeze(first.state));
    }
  }
  return { states: seen.size, refusals, ignores };
}

function attempt<State>(run: () => Step<State>): Step<State> | { readonly refused: string } {
  try {
    return run();
  } catch (error) {
    if (error instanceof UnexpectedInputError) return { refused: error.message };
    throw error;
  }
}

function checkIgnored<State, Input>(state: State, input: Input, result: Step<State>, ignores: Set<string>): void {
  const owes = Object.values(result.ready).some((owed) => (owed as readonly unknown[]).length > 0);
  if (owes || result.state !== state) throw new Error(`ignored, and yet something happened: ${show(state, input)}`);
  ignores.add(result.ignored!);
}

function show(state: unknown, input: unknown): string {
  return `${JSON.stringify(state)} with ${JSON.stringify(input)}`;
}

function deepFreeze<T>(value: T): T {
  if (typeof value === 'object' && value !== null && !Object.isFrozen(value)) {
    Object.freeze(value);
    Object.values(value).forEach(deepFreeze);
  }
  return value;
}
