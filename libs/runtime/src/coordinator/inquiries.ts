import type { Abort, Commit, Envelope, Txid } from '#libs/protocol';
import { ReasonCode } from '#libs/protocol';
import { Gather } from '../gather.js';
import type { Outbox } from '../outbox.js';
import type { Clock, CoordinatorStore, RegisterEntry } from '../ports.js';
import { backoffMs, QUICK_BACKOFF } from '../retry.js';
import type { OpenInquiry } from './context.js';
import type { CoordinatorObserver } from './types.js';

export interface InquiryDeps {
  readonly store: CoordinatorStore;
  readonly clock: Clock;
  readonly outbox: Outbox;
  readonly observer: CoordinatorObserver;
  readonly maxBatch: number;
}

/**
 * Answers in-doubt branches of transactions that are not in memory: only after the register holds a decision, which is ABORT
 * if nobody has decided before (Mohan, Lindsay, Obermarck 1986, "The presumed abort protocol").
 */
export function inquiryDesk({ store, clock, outbox, observer, maxBatch }: InquiryDeps): Gather<OpenInquiry> {
  return new Gather<OpenInquiry>({
    clock,
    maxBatch,
    async work(batch) {
      const txids = new Set<Txid>(batch.map(({ message }) => message.txid));
      const register = await store.presumeAbort([...txids], clock.now());
      const answers = batch.map(({ message }) => answer(message, register.get(message.txid)));
      outbox.push(answers, [], () => {
        for (const { ticket } of batch) ticket.release();
      });
    },
    onError(error, attempt) {
      observer.error(error, 'presume abort');
      return backoffMs(attempt, QUICK_BACKOFF);
    },
  });
}

function answer({ txid, branch, participant }: OpenInquiry['message'], entry: RegisterEntry | undefined): Envelope<Commit | Abort> {
  if (entry === undefined) throw new Error(`the store did not say what the register holds for ${txid}`);
  const to = { role: 'participant', name: participant } as const;
  if (entry.decision === 'COMMIT') return { to, message: { kind: 'COMMIT', txid, branch } };
  return { to, message: { kind: 'ABORT', txid, branch, reason: entry.reason ?? { code: ReasonCode.NO_RECORD } } };
}
