// Does it matter what has gathered? One stack with millions of finished transactions and thousands that a crash left open, one that is empty.
import { setTimeout as sleep } from 'node:timers/promises';
import path from 'node:path';
import { createPool, UNDECIDED } from '#libs/postgres';
import { openDataDir } from '../stack/data-dir.ts';
import { type Database, DATABASES } from '../start/settings.ts';
import { auditFilled, AUDITED_SCHEMA, makeAuditedViews } from './filled-audit.ts';
import { fill, type Filled, runPattern } from './fill.ts';
import { conclude, type MeasureSetting, type Pair, warmThenRun } from './measure.ts';
import type { MeasureOptions } from './options.ts';
import type { StateReport } from './report-types.ts';
import type { RunSetting } from './run.ts';
import { type OwnStack, type Stack, startOwnStack } from './stack.ts';

type Pool = ReturnType<typeof createPool>;
type Databases = Readonly<Record<Database, Pool>>;

export interface StateOptions extends MeasureOptions {
  readonly finished: number;
  readonly unfinished: number;
}

/** A statement that fills takes up to some minutes on a slow disk. */
const FILL_TIMEOUT_MS = 900_000;
const FILL_WAL = '8GB';
const RESUME_LIMIT_MS = 600_000;

/** Answers the exit code, as `measure` does. */
export async function measureState(options: StateOptions, setting: MeasureSetting): Promise<number> {
  const { say, cleanup, onFatal, signal } = setting;
  const dataDir = setting.dataDir!;
  say('starting PostgreSQL, Kafka and the services of the store that is filled ...');
  const full = await startOwnStack({ dataDir, options, say, onFatal }, cleanup);
  const { filled, state } = await filledAndResumed(full, options, say, cleanup, signal);
  say('starting PostgreSQL, Kafka and the services of the empty store ...');
  const emptyDir = await openDataDir(path.join(dataDir.path, 'empty'), say);
  cleanup.push(() => emptyDir.close());
  const empty = await startOwnStack({ dataDir: emptyDir, options, say, onFatal }, cleanup);

  const [settings] = options.configurations;
  const pair = (stack: Stack): Pair => ({ settings: settings!, setting: { ...setting, stack, localPool: options.localPool, drainSeconds: options.drainSeconds } satisfies RunSetting });
  const runs = await warmThenRun([pair({ ...empty, label: 'empty store' }), pair(await audited(full, filled, cleanup))], options.rounds);
  return signal.aborted ? 130 : conclude(options, full.machine, runs, { state });
}

async function filledAndResumed(stack: OwnStack, { finished, unfinished }: StateOptions, say: (line: string) => void, cleanup: (() => Promise<void>)[], signal: AbortSignal): Promise<{ readonly filled: Filled; readonly state: StateReport }> {
  const pattern = await runPattern(stack.coordinatorUrls[0]!, stack.submitToken, stack.databases.coordinator);
  await stack.stopServices();
  const pools = poolsOf(stack.databaseUrls, cleanup);
  // Else there would be a checkpoint, and whole pages in the log after it, every few seconds.
  await setWal(stack.admin, `= '${FILL_WAL}'`);
  const filled = await fill(pools, pattern, { finished, unfinished }, say);
  await setWal(stack.admin, null);
  await stack.admin.query('CHECKPOINT');
  const { rows } = await stack.admin.query<{ mb: number }>('SELECT (sum(pg_database_size(datname)) / 1048576)::float8 AS mb FROM pg_database WHERE datname = ANY ($1)', [[...DATABASES]]);

  say(`starting the services: ${unfinished.toLocaleString('en-US')} transactions wait for them`);
  const startedMs = Date.now();
  const since = (): number => (Date.now() - startedMs) / 1000;
  const ready = stack.startServices().then(since);
  ready.catch(() => undefined);
  await allResumed(pools, signal, (left) => say(`${left.toLocaleString('en-US')} rows are still open or prepared after ${since().toFixed(1)} s`));
  const resumedSeconds = since();
  const readySeconds = await ready;
  const resumed = await outcomesOf(pools.coordinator, filled);
  say(`all resumed after ${resumedSeconds.toFixed(1)} s: ${resumed.committed} committed, ${resumed.aborted} aborted`);
  return { filled, state: { finished, unfinished, fillSeconds: filled.seconds, databaseMb: rows[0]!.mb, readySeconds, resumedSeconds, resumed } };
}

/** Until nothing is open at the coordinator, and nothing prepared at the participants. */
async function allResumed({ coordinator, ...participants }: Databases, signal: AbortSignal, onWaiting: (left: number) => void): Promise<void> {
  let toldMs = Date.now();
  for (const deadline = Date.now() + RESUME_LIMIT_MS; !signal.aborted; await sleep(50)) {
    const counts = await Promise.all([
      coordinator.query<{ n: number }>('SELECT count(*)::float8 AS n FROM tx_open'),
      ...Object.values(participants).map((pool) => pool.query<{ n: number }>(`SELECT count(*)::float8 AS n FROM concordat_branch WHERE ${UNDECIDED}`)),
    ]);
    const left = counts.reduce((sum, { rows }) => sum + rows[0]!.n, 0);
    if (left === 0) return;
    if (Date.now() > deadline) throw new Error(`${left} rows are still open or prepared ${RESUME_LIMIT_MS / 1000} s after the services were started`);
    if (Date.now() - toldMs < 2_000) continue;
    toldMs = Date.now();
    onWaiting(left);
  }
}

async function outcomesOf(coordinator: Pool, { decided, undecided }: Filled): Promise<StateReport['resumed']> {
  const { rows: [row] } = await coordinator.query<StateReport['resumed']>(`
    SELECT count(*) FILTER (WHERE e.outcome = 'committed')::float8 AS committed, count(*) FILTER (WHERE e.outcome = 'aborted')::float8 AS aborted
      FROM tx_end e JOIN tx_begin b USING (txid) WHERE b.created_at >= to_timestamp($1::float8 / 1000) AND b.created_at < to_timestamp($2::float8 / 1000)`,
  [decided.fromMs, undecided.fromMs + undecided.stepMs * Math.max(1, undecided.to)]);
  return row!;
}

/** The same stack, for runs: what lies there already is audited by numbers and digests, what comes is audited one by one. */
async function audited(stack: OwnStack, filled: Filled, cleanup: (() => Promise<void>)[]): Promise<Stack> {
  await makeAuditedViews(stack.databases, filled);
  const viewed = Object.fromEntries(DATABASES.map((name) => [name, withSearchPath(stack.databaseUrls[name])])) as Record<Database, string>;
  return {
    ...stack, label: `${(filled.finished.to - filled.finished.from).toLocaleString('en-US')} finished`, databases: poolsOf(viewed, cleanup), auditMore: () => auditFilled(stack.databases, filled),
  };
}

function withSearchPath(url: string): string {
  const changed = new URL(url);
  changed.searchParams.set('options', `-c search_path=${AUDITED_SCHEMA},public`);
  return changed.href;
}

function poolsOf(urls: Readonly<Record<Database, string>>, cleanup: (() => Promise<void>)[]): Databases {
  return Object.fromEntries(DATABASES.map((name) => {
    const pool = createPool(urls[name], { max: 4, applicationName: 'concordat-load', statementTimeoutMs: FILL_TIMEOUT_MS });
    // Not awaited: a statement may go on for minutes, and the server ends it when it is stopped.
    cleanup.push(async () => void pool.end().catch(() => undefined));
    return [name, pool];
  })) as unknown as Databases;
}

/** @param value null: as it was */
async function setWal(admin: Pool, value: string | null): Promise<void> {
  await admin.query(value === null ? 'ALTER SYSTEM RESET max_wal_size' : `ALTER SYSTEM SET max_wal_size ${value}`);
  await admin.query('SELECT pg_reload_conf()');
}
