import { shardOf } from '#libs/protocol';
import type { EndRow } from '#libs/runtime';
import type { Operation } from '../pipeline.js';
import { encodeTimeline } from '../timeline.js';
import { json, jsonOrNull } from './encode.js';
import type { EpochOf } from './fence.js';

/** Ends, and closes what was open. `registered` spares the lists a look into the register for nearly every end. */
export function insertEnds(ends: readonly EndRow[], epochOf: EpochOf): Operation<void> {
  const shards = ends.map((e) => shardOf(e.record.txid));
  return {
    name: 'insert-ends',
    text: `
      WITH ended AS (
        SELECT r.*
          FROM unnest($1::uuid[], $2::int[], $3::int[], $4::text[], $5::jsonb[], $6::jsonb[], $7::json[], $8::float8[])
               AS r (txid, shard, epoch, outcome, reason, branches, timeline, at_ms)
          JOIN shard USING (shard, epoch)
      ), inserted AS (
        INSERT INTO tx_end (txid, outcome, reason, branches, timeline, registered, finished_at)
        SELECT r.txid, r.outcome, r.reason, r.branches, r.timeline, d.txid IS NOT NULL, to_timestamp(r.at_ms / 1000)
          FROM ended r LEFT JOIN tx_decision d ON d.txid = r.txid
         ORDER BY r.txid
            ON CONFLICT DO NOTHING)
      DELETE FROM tx_open o USING ended r WHERE o.shard = r.shard AND o.txid = r.txid`,
    values: [
      ends.map((e) => e.record.txid), shards, shards.map(epochOf), ends.map((e) => e.record.outcome), ends.map((e) => jsonOrNull(e.record.reason)),
      ends.map((e) => json(e.record.branches)), ends.map((e) => encodeTimeline(e.timeline)), ends.map((e) => e.record.atMs),
    ],
    read: () => undefined,
  };
}
