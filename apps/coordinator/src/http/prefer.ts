/** What a caller who says nothing waits for the decision. */
export const DEFAULT_WAIT_MS = 10_000;
/** No request is held longer. */
export const MAX_WAIT_MS = 60_000;
const PLAIN = /^wait=(\d{1,6})$/;

/**
 * How long a request is to wait for the decision: `Prefer: wait=<seconds>`, `respond-async`, or both, which RFC 7240 section 4.1
 * reads as "asynchronously if it takes longer than that". Preferences that are unknown or malformed are ignored, as section 2 wants.
 */
export function waitMsOf(prefer: string | readonly string[] | undefined): number {
  if (prefer === undefined) return DEFAULT_WAIT_MS;
  // What nearly every request says.
  const plain = typeof prefer === 'string' ? PLAIN.exec(prefer)?.[1] : undefined;
  return plain === undefined ? preferred(prefer) : Math.min(Number(plain) * 1000, MAX_WAIT_MS);
}

function preferred(prefer: string | readonly string[]): number {
  let async = false;
  for (const preference of [prefer].flat().join(',').split(',')) {
    const [name, value] = preference.split(';', 1)[0]!.split('=', 2).map((part) => part.trim());
    if (/^wait$/i.test(name!)) {
      const seconds = /^"?(\d{1,6})"?$/.exec(value ?? '')?.[1];
      // The first of several counts (section 2).
      if (seconds !== undefined) return Math.min(Number(seconds) * 1000, MAX_WAIT_MS);
    }
    if (/^respond-async$/i.test(name!)) async = true;
  }
  return async ? 0 : DEFAULT_WAIT_MS;
}
