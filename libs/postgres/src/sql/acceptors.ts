import type { AcceptorRow, Txid } from '#libs/protocol';
import { json, textArray } from './encode.js';
import type { Statement } from './statement.js';

/** A row of `concordat_acceptor`. */
export interface StoredAcceptor extends Pick<AcceptorRow, 'txid' | 'peers' | 'accepted'> {
  readonly promised_n: number;
  readonly promised_leader: number;
}

export function acceptorRow({ promised_n: n, promised_leader: leader, ...row }: StoredAcceptor): AcceptorRow {
  return { ...row, promised: { n, leader } };
}

/** In key order, after the branches. Numbers of ballots are whole and below 2^53. */
export function loadAcceptors(txids: readonly Txid[]): Statement {
  return {
    name: 'load-acceptors',
    text: `
      SELECT txid, peers, promised_n::float8, promised_leader::float8, accepted FROM concordat_acceptor
       WHERE txid IN (SELECT * FROM unnest($1::uuid[])) ORDER BY txid FOR UPDATE`,
    values: [txids],
  };
}

/** Fails with a unique violation when another process inserted one of the rows since `loadAcceptors` found nothing. */
export function insertAcceptors(rows: readonly AcceptorRow[]): Statement {
  return {
    name: 'insert-acceptors',
    text: `
      INSERT INTO concordat_acceptor (txid, peers, promised_n, promised_leader, accepted)
      SELECT r.txid, r.peers::text[], r.n, r.leader, r.accepted
        FROM unnest($1::uuid[], $2::text[], $3::bigint[], $4::bigint[], $5::jsonb[]) AS r (txid, peers, n, leader, accepted)
       ORDER BY r.txid`,
    values: [
      rows.map((r) => r.txid), rows.map((r) => textArray(r.peers)), rows.map((r) => r.promised.n), rows.map((r) => r.promised.leader), rows.map((r) => json(r.accepted)),
    ],
  };
}

/** Peers stay as they are. */
export function updateAcceptors(rows: readonly AcceptorRow[]): Statement {
  return {
    name: 'update-acceptors',
    text: `
      UPDATE concordat_acceptor a
         SET promised_n = r.n, promised_leader = r.leader, accepted = r.accepted, updated_at = now()
        FROM unnest($1::uuid[], $2::bigint[], $3::bigint[], $4::jsonb[]) AS r (txid, n, leader, accepted)
       WHERE a.txid = r.txid`,
    values: [rows.map((r) => r.txid), rows.map((r) => r.promised.n), rows.map((r) => r.promised.leader), rows.map((r) => json(r.accepted))],
  };
}
