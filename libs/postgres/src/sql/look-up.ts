import type { Txid } from '#libs/protocol';
import type { StoredTransaction } from '#libs/runtime';
import { runTogether, type Operation } from '../pipeline.js';
import type { Pool } from '../pool.js';
import { STORED_COLUMNS, STORED_JOINS, storedTransaction, type StoredRow } from '../stored-transaction.js';

export async function lookUp(pool: Pool, txids: readonly Txid[]): Promise<ReadonlyMap<Txid, StoredTransaction>> {
  const [found] = await runTogether(pool, [readStored(txids)]);
  return found;
}

function readStored(txids: readonly Txid[]): Operation<ReadonlyMap<Txid, StoredTransaction>> {
  return {
    name: 'look-up',
    text: `SELECT ${STORED_COLUMNS} FROM unnest($1::uuid[]) AS r (txid) JOIN tx_begin b ON b.txid = r.txid ${STORED_JOINS}`,
    values: [txids],
    read: (rows: StoredRow[]) => new Map(rows.map((row) => [row.txid, storedTransaction(row)])),
  };
}
