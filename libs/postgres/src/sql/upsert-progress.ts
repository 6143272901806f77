import { shardOf } from '#libs/protocol';
import type { ProgressRow } from '#libs/runtime';
import { json, lines, linesOf, plainArray, textArray } from './encode.js';
import { HELD } from './fence.js';
import { inOrder, type Part } from './part.js';

/**
 * What unfinished transactions must remember; the last of rows with the same key counts. Only of open ones: a flush that is sent again
 * must not leave rows behind of a transaction that has ended, nor one of a transaction whose begin was refused. (Each row looks into
 * `tx_open` by itself, as in `insertEnds`.)
 */
export function upsertProgress(progress: readonly ProgressRow[]): Part {
  const rows = inOrder([...new Map(progress.map((row) => [keyOf(row), row])).values()], keyOf);
  return {
    values: [
      plainArray(rows.map((r) => r.txid)), plainArray(rows.map((r) => shardOf(r.txid))), plainArray(rows.map((r) => r.kind)), textArray(rows.map((r) => r.key)),
      lines(rows.map((r) => json(r.data))),
    ],
    text: ([txids, shards, kinds, keys, data]) => `
      noted AS (
        INSERT INTO tx_progress AS p (txid, kind, key, data)
        SELECT r.txid, r.kind, r.key, r.data::jsonb
          FROM unnest(${txids}::uuid[], ${shards}::int[], ${kinds}::text[], ${keys}::text[], ${linesOf(data!)}) AS r (txid, shard, kind, key, data)
         CROSS JOIN LATERAL (SELECT FROM tx_open WHERE shard = r.shard AND txid = r.txid OFFSET 0) AS o
         WHERE ${HELD}
            ON CONFLICT (txid, kind, key) DO UPDATE SET data = excluded.data WHERE p.data IS DISTINCT FROM excluded.data)`,
  };
}

function keyOf({ txid, kind, key }: ProgressRow): string {
  return `${txid}/${kind}/${key}`;
}
