import type { ProtocolName } from '#libs/protocol';
import type { TransactionView } from '#libs/runtime';

/** What a caller waits for. */
export type Until = 'decided' | 'finished';

/** What a caller waits for who does not say: a decided saga has yet to do, or to undo, what its decision says. */
export function defaultUntil(protocol: ProtocolName): Until {
  return protocol === 'saga' ? 'finished' : 'decided';
}

export function hasReached(view: TransactionView, until: Until): boolean {
  return until === 'decided' ? view.decision !== null : view.finishedAtMs !== null;
}
