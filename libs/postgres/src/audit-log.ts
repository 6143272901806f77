import { InvalidCursorError } from './errors.js';
import type { Pool } from './pool.js';

/** What an operator did, or tried. */
export interface AuditEntry {
  /** Who: the subject of the token. */
  readonly actor: string;
  /** What: cancel, resolve, retry-now, pause, ... */
  readonly action: string;
  /** To what: a txid or `participant/<name>`. */
  readonly target: string;
  readonly comment: string | null;
  /** What came of it: `done`, or a stable code. */
  readonly result: string;
}

export interface AuditRecord extends AuditEntry {
  readonly id: string;
  readonly atMs: number;
}

export interface AuditPage {
  readonly items: readonly AuditRecord[];
  /** null: this was the last page. */
  readonly nextCursor: string | null;
}

/** Append-only. */
export class AuditLog {
  constructor(private readonly pool: Pool) {}

  async append(entry: AuditEntry): Promise<void> {
    await this.pool.query('INSERT INTO audit (actor, action, target, comment, result) VALUES ($1, $2, $3, $4, $5)', [entry.actor, entry.action, entry.target, entry.comment, entry.result]);
  }

  /** Newest first, of one target or of all. @throws InvalidCursorError */
  async list(cursor: string | null = null, limit = 50, target: string | null = null): Promise<AuditPage> {
    if (cursor !== null && !/^[1-9][0-9]{0,17}$/.test(cursor)) throw new InvalidCursorError();
    const { rows } = await this.pool.query<AuditEntry & { id: string; at: Date }>(`
      SELECT id, at, actor, action, target, comment, result FROM audit
       WHERE ($1::bigint IS NULL OR id < $1) AND ($2::text IS NULL OR target = $2) ORDER BY id DESC LIMIT $3`, [cursor, target, limit + 1]);
    const items = rows.slice(0, limit).map(({ at, ...entry }) => ({ ...entry, atMs: at.getTime() }));
    return { items, nextCursor: rows.length > limit ? items.at(-1)!.id : null };
  }
}
