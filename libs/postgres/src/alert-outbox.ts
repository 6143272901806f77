import type { Json, ProtocolName, Txid } from '#libs/protocol';
import type { Pool } from './pool.js';

/** Somebody outside is to be told that a transaction needs a person. */
export interface Alert {
  readonly txid: Txid;
  readonly protocol: ProtocolName;
  /** The transaction's ATTENTION record. */
  readonly data: Json;
  readonly createdAtMs: number;
  /** By the clock of the database. */
  readonly ageMs: number;
  /** Deliveries begun, this one included. */
  readonly attempts: number;
}

/** Those whose delivery has ended are kept this long, so that the transaction is not alerted of again. */
const KEPT = '30 days';

/**
 * Alerts and the state of their delivery. They are made from the ATTENTION rows of transactions: whoever looks next, after whatever crash,
 * finds what has not been told. One that ends by itself before it was looked at makes no alert.
 */
export class AlertOutbox {
  constructor(private readonly pool: Pool) {}

  /** Makes alerts of what has come to need attention. @returns how many */
  async collect(): Promise<number> {
    const { rowCount } = await this.pool.query(`
      INSERT INTO alert (txid, protocol, data)
      SELECT p.txid, b.protocol, p.data FROM tx_progress p JOIN tx_begin b ON b.txid = p.txid
       WHERE p.kind = 'ATTENTION' AND NOT EXISTS (SELECT FROM alert a WHERE a.txid = p.txid)
          ON CONFLICT DO NOTHING`);
    return rowCount ?? 0;
  }

  /** Takes alerts that are due. Nobody else gets them for `leaseMs`: whoever takes them and dies leaves them to others. */
  async claim(limit: number, leaseMs: number): Promise<readonly Alert[]> {
    const { rows } = await this.pool.query<Omit<Alert, 'createdAtMs'> & { created_at: Date }>(`
      UPDATE alert SET attempts = attempts + 1, due_at = now() + make_interval(secs => $2::float8 / 1000)
       WHERE txid IN (SELECT txid FROM alert WHERE ended_at IS NULL AND due_at <= now() ORDER BY due_at LIMIT $1 FOR UPDATE SKIP LOCKED)
      RETURNING txid, protocol, data, created_at, (extract(epoch FROM now() - created_at) * 1000)::float8 AS "ageMs", attempts`, [limit, leaseMs]);
    return rows.map(({ created_at, ...alert }) => ({ ...alert, createdAtMs: created_at.getTime() }));
  }

  async postpone(txid: Txid, byMs: number): Promise<void> {
    await this.pool.query('UPDATE alert SET due_at = now() + make_interval(secs => $2::float8 / 1000) WHERE txid = $1 AND ended_at IS NULL', [txid, byMs]);
  }

  /** Its delivery is over, with success or without. */
  async end(txid: Txid, delivered: boolean): Promise<void> {
    await this.pool.query('UPDATE alert SET ended_at = now(), delivered = $2 WHERE txid = $1 AND ended_at IS NULL', [txid, delivered]);
  }

  /** Alerts that are still to be delivered. */
  async waiting(): Promise<number> {
    const { rows: [row] } = await this.pool.query<{ n: number }>('SELECT count(*)::int AS n FROM alert WHERE ended_at IS NULL');
    return row!.n;
  }

  /** Forgets old ones. */
  async clean(): Promise<void> {
    await this.pool.query(`DELETE FROM alert WHERE ended_at < now() - $1::interval AND NOT EXISTS (SELECT FROM tx_progress p WHERE p.txid = alert.txid)`, [KEPT]);
  }
}
