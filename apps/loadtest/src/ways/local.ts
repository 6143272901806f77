import type { Assignment } from '../contract.js';
import { type CheckoutWriter, inOneStatement, inStatements, type LocalOutcome, openMonolith } from '../monolith.js';
import { shareOf } from '../share.js';
import { type Attempted, type OpenWay, unknown } from './way.js';

const WRITERS: Readonly<Record<'local' | 'local-single', CheckoutWriter>> = { local: inStatements, 'local-single': inOneStatement };

/** The monolith's own transaction, without HTTP. The workers share `localPool` connections, at least one each. */
export async function localWay({ way, target, worker, workers }: Pick<Assignment, 'target' | 'worker' | 'workers'> & { readonly way: keyof typeof WRITERS }): Promise<OpenWay> {
  const pool = await openMonolith(target.localDatabaseUrl!, Math.max(1, shareOf(target.localPool, worker, workers)));
  const write = WRITERS[way];
  return {
    attempt: ({ checkout }) => write(pool, checkout).then(ofLocal, (error: unknown) => unknown((error as { readonly code?: string }).code ?? 'CONNECTION_LOST')),
    close: () => pool.end(),
  };
}

export function ofLocal({ committed, reason }: LocalOutcome): Attempted {
  return { ending: committed ? 'committed' : 'aborted', reason, txid: null, outcome: null };
}
