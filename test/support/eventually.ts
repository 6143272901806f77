/** Repeats `attempt` until it no longer throws; after `timeoutMs` fails with what it threw last. */
export async function eventually<T>(what: string, attempt: () => Promise<T>, timeoutMs = 60_000): Promise<T> {
  const deadline = Date.now() + timeoutMs;
  for (;;) {
    try {
      return await attempt();
    } catch (error) {
      if (Date.now() > deadline) throw new Error(`never came true within ${timeoutMs} ms: ${what}\n${(error as Error).message}`, { cause: error });
    }
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}
