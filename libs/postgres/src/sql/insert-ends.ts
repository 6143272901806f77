import { shardOf } from '#libs/protocol';
import type { EndRow } from '#libs/runtime';
import type { Operation } from '../pipeline.js';
import { encodeTimeline } from '../timeline.js';
import { json, jsonOrNull } from './encode.js';
import type { EpochOf } from './fence.js';

/**
 * Ends, closes what was open, and forgets what only an open transaction needs. `registered` spares the lists a look into the register for
 * nearly every end.
 */
export function insertEnds(ends: readonly EndRow[], epochOf: EpochOf): Operation<void> {
  const shards = ends.map((e) => shardOf(e.txid));
  return {
    name: 'insert-ends',
    text: `
      WITH ended AS (
        SELECT r.*
          FROM unnest($1::uuid[], $2::int[], $3::int[], $4::text[], $5::jsonb[], $6::jsonb[], $7::jsonb[], $8::json[], $9::float8[])
               AS r (txid, shard, epoch, outcome, reason, resolved, branches, timeline, at_ms)
          JOIN shard USING (shard, epoch)
      ), inserted AS (
        INSERT INTO tx_end (txid, outcome, reason, resolved, branches, timeline, registered, finished_at)
        SELECT r.txid, r.outcome, r.reason, r.resolved, r.branches, r.timeline, d.txid IS NOT NULL, to_timestamp(r.at_ms / 1000)
          FROM ended r LEFT JOIN tx_decision d ON d.txid = r.txid
         ORDER BY r.txid
            ON CONFLICT DO NOTHING
      ), forgotten AS (
        DELETE FROM tx_progress p USING ended r WHERE p.txid = r.txid)
      DELETE FROM tx_open o USING ended r WHERE o.shard = r.shard AND o.txid = r.txid`,
    values: [
      ends.map((e) => e.txid), shards, shards.map(epochOf), ends.map((e) => e.outcome), ends.map((e) => jsonOrNull(e.reason)), ends.map((e) => jsonOrNull(e.resolved)),
      ends.map((e) => json(e.branches)), ends.map((e) => encodeTimeline(e.timeline)), ends.map((e) => e.atMs),
    ],
    read: () => undefined,
  };
}
