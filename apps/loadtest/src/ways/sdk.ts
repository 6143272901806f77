import { ConcordatClient, ConcordatError, type Result } from '#libs/client';
import type { Assignment } from '../contract.js';
import { transactionRequests } from '../transaction-request.js';
import type { PlannedCheckout } from '../workload.js';
import { type Attempted, type OpenWay, refused, unknown } from './way.js';

/** The client library as it comes: it gathers concurrent calls, makes their keys, and repeats what was refused until its patience (10 s) ends. */
export function sdkWay({ target, workload }: Pick<Assignment, 'target' | 'workload'>): OpenWay {
  const client = new ConcordatClient({ urls: target.coordinatorUrls, token: target.token });
  const request = transactionRequests(workload);
  return {
    attempt: async (planned: PlannedCheckout): Promise<Attempted> => {
      try {
        return ofResult(await client.run(request(planned)));
      } catch (error) {
        if (!(error instanceof ConcordatError)) throw error;
        return refused(error.code);
      }
    },
    close: () => client.close(),
  };
}

/** A saga that completed counts as committed, one that was compensated as aborted. */
export function ofResult(result: Result): Attempted {
  if (result.outcome === 'unknown') return unknown(result.cause.code, result.id);
  const ending = result.outcome === 'committed' || result.outcome === 'completed' ? 'committed' : 'aborted';
  return { ending, reason: result.reason?.code ?? null, txid: result.id, outcome: result.outcome };
}
