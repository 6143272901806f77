import type { CoordinatorObserver } from './types.js';

/** An observer with every method, whose exceptions are told to its own `error` and go no further. */
export function safeObserver(observer: Partial<CoordinatorObserver>): CoordinatorObserver {
  const error = (fault: unknown, context: string): void => {
    try {
      observer.error?.(fault, context);
    } catch {
      // There is nobody left to tell.
    }
  };
  const guard = <Argument>(name: string, notify: ((argument: Argument) => void) | undefined): ((argument: Argument) => void) => (argument) => {
    try {
      notify?.(argument);
    } catch (fault) {
      error(fault, `observer ${name}`);
    }
  };
  return {
    begun: guard('begun', observer.begun?.bind(observer)),
    decided: guard('decided', observer.decided?.bind(observer)),
    finished: guard('finished', observer.finished?.bind(observer)),
    attention: guard('attention', observer.attention?.bind(observer)),
    flushed: guard('flushed', observer.flushed?.bind(observer)),
    fenced: guard('fenced', observer.fenced?.bind(observer)),
    error,
  };
}
