/**
 * For a command that has to clean up behind itself: `ending` resolves when the process is asked to end, by a signal or by the end of its
 * starter; `end` asks from inside.
 */
export function untilEnded(): { readonly ending: Promise<void>; readonly end: () => void } {
  let end!: () => void;
  const ending = new Promise<void>((resolve) => { end = resolve; });
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, end);
  process.on('disconnect', end);
  return { ending, end };
}
