import type { BranchTransaction } from '#libs/runtime';

export interface Part<Result> {
  /** It sends one statement and no more: the next part may start when that is on its way. */
  readonly overlaps: boolean;
  run(): Promise<Result>;
}

/**
 * Runs the parts so that their statements reach the database in the order of the parts. Resolves when all have ended.
 * @param failed told which part was the first to fail; its error is thrown when the others that run have ended as well
 */
export async function inTurn<Result>(tx: Pick<BranchTransaction<unknown>, 'sent'>, parts: readonly Part<Result>[], failed: (part: number) => void): Promise<readonly Result[]> {
  const begun: Promise<Result>[] = [];
  for (const { overlaps, run } of parts) {
    const sent = overlaps ? tx.sent?.() : undefined;
    const running = run();
    begun.push(running);
    const ended = running.then(() => true, () => false);
    if ((await (sent === undefined ? ended : Promise.race([ended, sent]))) === false) break;
  }
  const results: Result[] = [];
  for (const [part, settled] of (await Promise.allSettled(begun)).entries()) {
    if (settled.status === 'fulfilled') {
      results.push(settled.value);
      continue;
    }
    failed(part);
    throw settled.reason;
  }
  return results;
}
