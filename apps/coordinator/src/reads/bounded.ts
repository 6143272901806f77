import { UnavailableError } from '#libs/runtime';

/** A read that takes longer tells its caller so; a database that has stopped without a word is noticed by nobody else for half a minute. */
const LIMIT_MS = 4_000;

/**
 * The same object, whose promises end in bounded time: those of a database that does not answer reject with STORE_UNAVAILABLE. What was
 * asked goes on until the pool gives it up.
 */
export function bounded<T extends object>(target: T, limitMs = LIMIT_MS): T {
  return new Proxy(target, {
    get(object, name) {
      const member = Reflect.get(object, name, object) as unknown;
      if (typeof member !== 'function') return member;
      return (...args: unknown[]): unknown => {
        const answer: unknown = member.apply(object, args);
        return answer instanceof Promise ? within(answer, limitMs) : answer;
      };
    },
  });
}

/** @throws UnavailableError STORE_UNAVAILABLE when the promise takes longer than that */
export async function within<T>(work: Promise<T>, limitMs = LIMIT_MS): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new UnavailableError('STORE_UNAVAILABLE', `The database has not answered for ${limitMs} ms; ask again in a moment.`, 1_000)), limitMs);
  });
  // Whoever loses the race may still fail.
  work.catch(() => undefined);
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}
