/** Runs a step that may take long: says that it began, every 5 s that it goes on, and how long it took. */
export async function withProgress<T>(what: string, log: (line: string) => void, step: () => Promise<T>): Promise<T> {
  const began = Date.now();
  const seconds = (): string => `${((Date.now() - began) / 1000).toFixed(0)} s`;
  log(`${what} ...`);
  const timer = setInterval(() => log(`${what} ... ${seconds()}`), 5_000);
  try {
    return await step();
  } finally {
    clearInterval(timer);
  }
}
