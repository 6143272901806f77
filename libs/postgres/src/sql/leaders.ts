import type { PaxosGroup, Txid } from '#libs/protocol';
import type { LeaderRow } from '#libs/runtime';
import { json } from './encode.js';
import type { Statement } from './statement.js';

/** A row of `concordat_leader`. */
export interface StoredLeader {
  readonly group: PaxosGroup;
  readonly ballot_n: number;
  readonly ballot_leader: number;
}

export function leaderRow({ group, ballot_n: n, ballot_leader: leader }: StoredLeader): LeaderRow {
  return { group, ballot: { n, leader } };
}

/** In key order, after the branches and the acceptors. */
export function loadLeaders(txids: readonly Txid[]): Statement {
  return {
    name: 'load-leaders',
    text: `
      SELECT "group", ballot_n::float8, ballot_leader::float8 FROM concordat_leader
       WHERE txid IN (SELECT * FROM unnest($1::uuid[])) ORDER BY txid FOR UPDATE`,
    values: [txids],
  };
}

/** Fails with a unique violation when another process inserted one of the rows since `loadLeaders` found nothing. */
export function insertLeaders(rows: readonly LeaderRow[]): Statement {
  return {
    name: 'insert-leaders',
    text: `
      INSERT INTO concordat_leader (txid, "group", ballot_n, ballot_leader)
      SELECT r.txid, r.members, r.n, r.leader
        FROM unnest($1::uuid[], $2::jsonb[], $3::bigint[], $4::bigint[]) AS r (txid, members, n, leader)
       ORDER BY r.txid`,
    values: [rows.map((r) => r.group.txid), rows.map((r) => json(r.group)), rows.map((r) => r.ballot.n), rows.map((r) => r.ballot.leader)],
  };
}

/** SQLSTATE of `updateLeaders` when a ballot was not greater than the one that is stored: nobody may lead a ballot twice. */
export const BALLOT_NOT_GREATER = '22012';

/** Only over smaller ballots; divides by zero unless all of them were. */
export function updateLeaders(rows: readonly LeaderRow[]): Statement {
  return {
    name: 'update-leaders',
    text: `
      WITH raised AS (
        UPDATE concordat_leader l
           SET ballot_n = r.n, ballot_leader = r.leader, updated_at = now()
          FROM unnest($1::uuid[], $2::bigint[], $3::bigint[]) AS r (txid, n, leader)
         WHERE l.txid = r.txid AND (l.ballot_n, l.ballot_leader) < (r.n, r.leader)
        RETURNING l.txid)
      SELECT 1 / (count(*) = cardinality($1::uuid[]))::int FROM raised`,
    values: [rows.map((r) => r.group.txid), rows.map((r) => r.ballot.n), rows.map((r) => r.ballot.leader)],
  };
}
