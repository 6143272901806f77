import pg from 'pg';

export type Pool = pg.Pool;

export interface PoolOptions {
  /** Most connections at a time. Beyond 8 nothing is gained on one database. */
  readonly max: number;
  /** As seen in pg_stat_activity. */
  readonly applicationName: string;
  /** A statement that takes longer is cancelled by the server (57014, transient). Default 30,000. */
  readonly statementTimeoutMs?: number;
  /** Hears of connections that broke while idle; the pool replaces them by itself. */
  readonly onError?: (error: Error) => void;
}

/** How long after the server should have cancelled a statement the client gives the connection up. */
const SILENT_SERVER_MS = 5_000;

/**
 * A pool whose connections pipeline: queries that are issued without waiting travel together (see `pipeline.ts`). A server that goes
 * away, even without a word, makes queries fail within a bounded time; it never ends the process.
 */
export function createPool(url: string, options: PoolOptions): Pool {
  const statementTimeoutMs = options.statementTimeoutMs ?? 30_000;
  const config: pg.PoolConfig & { pipeline: boolean } = {
    connectionString: url,
    max: options.max,
    application_name: options.applicationName,
    pipeline: true,
    statement_timeout: statementTimeoutMs,
    query_timeout: statementTimeoutMs + SILENT_SERVER_MS,
    idle_in_transaction_session_timeout: 2 * statementTimeoutMs,
    connectionTimeoutMillis: 5_000,
    idleTimeoutMillis: 60_000,
    keepAlive: true,
    keepAliveInitialDelayMillis: 10_000,
  };
  const pool = new pg.Pool(config);
  pool.on('error', (error) => options.onError?.(error));
  // The pool listens to idle connections only; one that breaks between two queries of its user would end the process.
  pool.on('connect', (client) => client.on('error', () => undefined));
  return pool;
}
