import { ReasonCode, type Txid } from '#libs/protocol';
import type { RegisterEntry } from '#libs/runtime';
import { runTogether } from '../pipeline.js';
import type { Pool } from '../pool.js';
import { holdHorizon, insertPresumedAborts, readOutcomes } from './register.js';

/**
 * Not fenced: whoever asks about a transaction that nobody decided may abort it, because the register lets only one decision in. Left out:
 * transactions of other protocols, and those so old that nothing can be presumed from missing rows.
 */
export async function presumeAbort(pool: Pool, txids: readonly Txid[], atMs: number): Promise<ReadonlyMap<Txid, RegisterEntry>> {
  const reason = { code: ReasonCode.NO_RECORD, detail: 'nothing was decided and nobody had it in memory' };
  const [, , outcomes] = await runTogether(pool, [holdHorizon(), insertPresumedAborts(txids, reason, atMs), readOutcomes(txids)]);
  return outcomes;
}
