import type { TransactionView } from '#libs/runtime';

/** What a caller waits for. */
export type Until = 'decided' | 'finished';

export function hasReached(view: TransactionView, until: Until): boolean {
  return until === 'decided' ? view.status !== 'pending' : view.finishedAtMs !== null;
}
