import pg from 'pg';
import { DataSource } from 'typeorm';
import { MIGRATIONS, type MigrationSet } from '../../../migrations/index.ts';

// Run by Node as it is (tools/migrate.ts), too: erasable TypeScript, relative imports in .ts.

/** What a database is for. A service's database holds the SDK's branch table and the service's own tables. */
export type DatabaseRole = MigrationSet;

export interface MigrationReport {
  readonly database: string;
  /** True when the database did not exist before. */
  readonly created: boolean;
  /** Names of the migrations that this call applied, in order; empty when somebody else had. */
  readonly applied: readonly string[];
}

export interface MigrationStatus {
  readonly name: string;
  readonly applied: boolean;
}

export type MigrationErrorCode = 'INVALID_DATABASE_URL' | 'DATABASE_MISSING' | 'MIGRATION_LOCKED';

export class MigrationError extends Error {
  readonly code: MigrationErrorCode;

  constructor(code: MigrationErrorCode, message: string, cause?: unknown) {
    super(message, { cause });
    this.name = 'MigrationError';
    this.code = code;
  }
}

/** Any number that nobody else uses as an advisory lock; one for creating databases, one for changing them. */
const CREATE_LOCK = 7_205_001;
const MIGRATE_LOCK = 7_205_002;
const LOCK_TIMEOUT_MS = 120_000;

const SETS: { readonly [R in DatabaseRole]: readonly MigrationSet[] } = {
  coordinator: ['coordinator'],
  participant: ['participant'],
  orders: ['participant', 'orders'],
  payments: ['participant', 'payments'],
  inventory: ['participant', 'inventory'],
  extra: ['participant', 'extra'],
};

/**
 * Brings a database up to date; creates it if it does not exist and the user may. Any number of processes may call this at the same
 * time: one works, the others wait for it and find nothing to do.
 * @throws MigrationError, or the error of Postgres
 */
export async function migrate(url: string, role: DatabaseRole): Promise<MigrationReport> {
  const created = await createIfMissing(url);
  const applied = await locked(url, MIGRATE_LOCK, async () => {
    const names: string[] = [];
    for (const set of SETS[role]) names.push(...await withSet(url, set, async (source) => (await source.runMigrations()).map((m) => m.name)));
    return names;
  });
  return { database: databaseName(url), created, applied };
}

/** Every migration of the role, oldest first. A database that does not exist has none applied. */
export async function migrationStatus(url: string, role: DatabaseRole): Promise<readonly MigrationStatus[]> {
  const exists = await databaseExists(url);
  const result: MigrationStatus[] = [];
  for (const set of SETS[role]) {
    const done = exists ? await appliedNames(url, set) : new Set<string>();
    result.push(...MIGRATIONS[set].map((migration) => nameOf(migration)).map((name) => ({ name, applied: done.has(name) })));
  }
  return result;
}

/** Takes back the newest applied migration with all data in its tables. Returns its name; null when there is none. */
export async function revertLast(url: string, role: DatabaseRole): Promise<string | null> {
  if (!(await databaseExists(url))) throw new MigrationError('DATABASE_MISSING', `database "${databaseName(url)}" does not exist`);
  return locked(url, MIGRATE_LOCK, async () => {
    for (const set of SETS[role].toReversed()) {
      const done = await appliedNames(url, set);
      const last = MIGRATIONS[set].map(nameOf).findLast((name) => done.has(name));
      if (last === undefined) continue;
      await withSet(url, set, (source) => source.undoLastMigration());
      return last;
    }
    return null;
  });
}

// ---------------------------------------------------------------- one set

function nameOf(migration: (typeof MIGRATIONS)[MigrationSet][number]): string {
  return new migration().name ?? migration.name;
}

function historyTable(set: MigrationSet): string {
  return `concordat_migration_${set}`;
}

async function withSet<T>(url: string, set: MigrationSet, work: (source: DataSource) => Promise<T>): Promise<T> {
  const source = new DataSource({
    type: 'postgres', url, applicationName: 'concordat-migrate', migrations: [...MIGRATIONS[set]], migrationsTableName: historyTable(set),
    migrationsTransactionMode: 'each', installExtensions: false, extra: { max: 2, connectionTimeoutMillis: 10_000 },
  });
  await source.initialize();
  try {
    return await work(source);
  } finally {
    await source.destroy();
  }
}

async function appliedNames(url: string, set: MigrationSet): Promise<Set<string>> {
  return withClient(url, async (client) => {
    const { rows: [table] } = await client.query<{ exists: boolean }>('SELECT to_regclass($1) IS NOT NULL AS exists', [historyTable(set)]);
    if (!table!.exists) return new Set<string>();
    const { rows } = await client.query<{ name: string }>(`SELECT name FROM ${historyTable(set)}`);
    return new Set(rows.map((row) => row.name));
  });
}

// ---------------------------------------------------------------- the database itself

async function createIfMissing(url: string): Promise<boolean> {
  if (await databaseExists(url)) return false;
  const name = databaseName(url);
  return locked(withDatabase(url, 'postgres'), CREATE_LOCK, async (client) => {
    const { rowCount } = await client.query('SELECT FROM pg_database WHERE datname = $1', [name]);
    if (rowCount !== 0) return false;
    // template0: nobody can be connected to it, which would make Postgres refuse to copy it.
    await client.query(`CREATE DATABASE ${client.escapeIdentifier(name)} TEMPLATE template0`);
    return true;
  });
}

/** Asks by connecting, because a user that may not connect to `postgres` can still have a database of its own. */
async function databaseExists(url: string): Promise<boolean> {
  databaseName(url);
  try {
    await withClient(url, async () => undefined);
    return true;
  } catch (error) {
    if ((error as { code?: string }).code === '3D000') return false;
    throw error;
  }
}

function databaseName(url: string): string {
  const name = decodeURIComponent(parse(url).pathname.slice(1));
  if (name === '') throw new MigrationError('INVALID_DATABASE_URL', 'the URL names no database: it takes postgres://user:password@host:port/database');
  return name;
}

function withDatabase(url: string, database: string): string {
  const other = parse(url);
  other.pathname = `/${encodeURIComponent(database)}`;
  return other.href;
}

function parse(url: string): URL {
  if (!URL.canParse(url) || !/^postgres(ql)?:$/.test(new URL(url).protocol)) throw new MigrationError('INVALID_DATABASE_URL', 'not a postgres:// URL');
  return new URL(url);
}

// ---------------------------------------------------------------- connections

/** Session lock: it goes away with the connection, so a killed migrator blocks nobody. */
async function locked<T>(url: string, lock: number, work: (client: pg.Client) => Promise<T>): Promise<T> {
  return withClient(url, async (client) => {
    await client.query(`SET lock_timeout = ${LOCK_TIMEOUT_MS}`);
    try {
      await client.query('SELECT pg_advisory_lock($1)', [lock]);
    } catch (error) {
      if ((error as { code?: string }).code !== '55P03') throw error;
      throw new MigrationError('MIGRATION_LOCKED', `another migration of "${databaseName(url)}" has been running for ${LOCK_TIMEOUT_MS / 1000} s`, error);
    }
    return work(client);
  });
}

async function withClient<T>(url: string, work: (client: pg.Client) => Promise<T>): Promise<T> {
  const client = new pg.Client({ connectionString: url, application_name: 'concordat-migrate', connectionTimeoutMillis: 10_000, keepAlive: true });
  // Without a listener a connection lost between two queries would end the process; the next query reports it anyway.
  client.on('error', () => undefined);
  try {
    await client.connect();
    return await work(client);
  } finally {
    await client.end();
  }
}
