// What is measured: servers and services of our own, or a stack that runs already.
import fs from 'node:fs';
import { createPool } from '#libs/postgres';
import type { DataDir } from '../stack/data-dir.ts';
import { choosePort } from '../stack/ports.ts';
import { SetupError } from '../stack/setup-error.ts';
import type { Tokens } from '../stack/tokens.ts';
import { LogLines } from '../start/log-lines.ts';
import { participantsKnown, problemOf, servicesReady } from '../start/ready.ts';
import { startOwnServers } from '../start/servers.ts';
import { serviceEnv } from '../start/service-env.ts';
import { type Database, DATABASES, databaseVariable, portVariable, SERVICES, settingsFrom, urlOf, withFreePorts } from '../start/settings.ts';
import { Supervisor } from '../start/supervisor.ts';
import { type Counters, readCounters } from './counters.ts';
import { machineOf } from './machine.ts';
import { startNodeServer } from './node-server.ts';
import type { MeasureOptions } from './options.ts';
import type { AuditCheck, LoadReport, RunReport } from './report-types.ts';
import type { RunSettings } from './settings.ts';
import { tokensFrom } from './tokens.ts';

type Pool = ReturnType<typeof createPool>;

export interface Stack {
  readonly coordinatorUrls: readonly string[];
  readonly submitToken: string;
  readonly readToken: string | null;
  /** Null: out of reach. */
  readonly databases: Readonly<Record<Database, Pool>> | null;
  /** Databases of the participants beyond the shop's three, by name. */
  readonly extras: ReadonlyMap<string, Pool>;
  /** Null: there is no monolith. */
  readonly monolith: { readonly databaseUrl: string; readonly httpUrl: string | null; readonly pool: Pool } | null;
  readonly machine: LoadReport['machine'];
  /** Null: not to be had. */
  counters(): Promise<Counters | null>;
  /** By name, of all processes that can be seen. */
  pids(): ReadonlyMap<string, number>;
  /** Of several stacks, which: told with the name of each run. */
  readonly label?: string;
  /** What else must hold of what lies in its tables. */
  readonly auditMore?: () => Promise<readonly AuditCheck[]>;
  /** Given: the pools show what was written since the last `advance`. */
  readonly window?: AuditWindow;
}

export interface AuditWindow {
  /** What is there has been audited: of the monolith, or of everybody else. */
  advance(of: 'shop' | 'monolith'): Promise<void>;
  /** Of everything since the start; nothing if an audit has just seen all that. @param runs all that were reported */
  auditWhole(runs: readonly RunReport[]): Promise<readonly AuditCheck[]>;
}

/** One that was started here, whose services can be stopped and started again. */
export interface OwnStack extends Stack {
  readonly databases: Readonly<Record<Database, Pool>>;
  readonly readToken: string;
  readonly databaseUrls: Readonly<Record<Database, string>>;
  /** Of the participants beyond the shop's three, by name. */
  readonly extraUrls: ReadonlyMap<string, string>;
  readonly admin: Pool;
  stopServices(): Promise<void>;
  /** Resolves when all are ready. */
  startServices(): Promise<void>;
}

interface OwnStackOptions {
  readonly dataDir: DataDir;
  readonly options: Pick<MeasureOptions, 'configurations' | 'environment' | 'localPool'>;
  readonly say: (line: string) => void;
  /** A service can never run, or ends by itself in a way that starting it again does not mend. */
  readonly onFatal: (error: Error) => void;
}

const SHOP = ['orders', 'payments', 'inventory'] as const;
/** The audit reads whole tables. */
const STATEMENT_TIMEOUT_MS = 120_000;

/** @param cleanup is given what has to be undone, also when this fails midway. @throws SetupError */
export async function startOwnStack({ dataDir, options, say, onFatal }: OwnStackOptions, cleanup: (() => Promise<void>)[]): Promise<OwnStack> {
  const { configurations, environment, localPool } = options;
  const { postgres, kafka, databaseUrls } = await startOwnServers(dataDir, cleanup, say);
  const pool = pools(cleanup);
  const databases = Object.fromEntries(DATABASES.map((name) => [name, pool(databaseUrls[name])])) as Record<Database, Pool>;
  const admin = pool(postgres.adminUrl);
  await admin.query('CREATE DATABASE monolith');
  const monolith = { databaseUrl: postgres.url('monolith'), pool: pool(postgres.url('monolith')) };

  const settings = await withFreePorts(settingsFrom({ CONCORDAT_DATA_DIR: dataDir.path, ...Object.fromEntries(SERVICES.map((name) => [portVariable(name), '0'])) }));
  const env = serviceEnv(settings, { databaseUrls, brokers: kafka.brokers }, { PATH: process.env.PATH, LOG_LEVEL: 'warn', ...environment });
  let supervisor: Supervisor;
  const startServices = (): Promise<void> => {
    supervisor = new Supervisor({ records: dataDir.records, lines: new LogLines(process.stderr), env, onFatal });
    for (const name of SERVICES) supervisor.start(name);
    return servicesReady(settings);
  };
  cleanup.push(() => supervisor.stop());
  await startServices();
  const tokens = JSON.parse(fs.readFileSync(settings.tokensFile, 'utf8')) as Tokens;
  const url = urlOf(settings, 'coordinator');

  const taken = Object.values(settings.ports);
  const extras = extraNames(configurations);
  const extraUrls = new Map(extras.map((name) => [name, postgres.url(name.replace('-', '_'))]));
  const servers = new Map<string, { readonly pid: number }>();
  for (const [name, databaseUrl] of extraUrls) {
    const port = await choosePort(undefined, taken);
    taken.push(port);
    const prefix = name.toUpperCase().replace('-', '_');
    const ownEnv = { ...env, EXTRA_NAME: name, [`${prefix}_DATABASE_URL`]: databaseUrl, [`${prefix}_PORT`]: String(port) };
    servers.set(name, await startNodeServer({ name, script: 'extra-main.js', healthUrl: `http://127.0.0.1:${port}`, env: ownEnv }, dataDir, cleanup));
  }
  const httpUrl = configurations.some(({ way }) => way === 'local-http') ? await startMonolithServer() : null;
  await participantsKnown({ url, submitToken: tokens.submit, readToken: tokens.read }, [...SHOP, ...extras]);

  async function startMonolithServer(): Promise<string> {
    const port = await choosePort(undefined, taken);
    const ownEnv = { PATH: process.env.PATH, NODE_ENV: 'production', LOG_LEVEL: 'warn', LOCAL_DATABASE_URL: monolith.databaseUrl, LOCAL_PORT: String(port), LOCAL_POOL: String(localPool) };
    servers.set('local-server', await startNodeServer({ name: 'local-server', script: 'local-server.js', healthUrl: null, env: ownEnv }, dataDir, cleanup));
    return `http://127.0.0.1:${port}`;
  }

  const sources = { admin, kafkaFolder: dataDir.file('kafka'), coordinatorUrls: [url], readToken: tokens.read };
  return {
    coordinatorUrls: [url], submitToken: tokens.submit, readToken: tokens.read, databases, databaseUrls, extraUrls, admin, monolith: { ...monolith, httpUrl }, startServices, stopServices: () => supervisor.stop(),
    extras: new Map([...extraUrls].map(([name, databaseUrl]) => [name, pool(databaseUrl)])),
    machine: await machineOf(admin, true),
    counters: () => readCounters(sources),
    pids: () => new Map([
      ...SERVICES.flatMap((name) => { const pid = supervisor.pidOf(name); return pid === undefined ? [] : [[name, pid] as const]; }),
      ...[...servers].map(([name, { pid }]) => [name, pid] as const), ['postgres', postgres.pid] as const, ['kafka', kafka.pid] as const,
    ]),
  };
}

/** @param env with COORDINATOR_DATABASE_URL and so on, if the tables are to be audited. @throws SetupError when it does not answer, or does not know the token */
export async function givenStack(target: NonNullable<MeasureOptions['target']>, env: NodeJS.ProcessEnv, cleanup: (() => Promise<void>)[]): Promise<Stack> {
  const { coordinatorUrls } = target;
  const { submit, read } = tokensFrom(target.tokenFile, env);
  for (const url of coordinatorUrls) {
    const problem = await problemOf(url);
    if (problem !== null) throw new SetupError('SERVICE_FAILED', `${url} is not ready: ${problem}`);
  }
  const databaseUrls = DATABASES.map((name) => env[databaseVariable(name)]);
  const pool = pools(cleanup);
  const databases = databaseUrls.every((url) => url !== undefined && url !== '') ? Object.fromEntries(DATABASES.map((name, i) => [name, pool(databaseUrls[i]!)])) as Record<Database, Pool> : null;
  return {
    coordinatorUrls, submitToken: submit, readToken: read, databases, extras: new Map(), monolith: null,
    machine: await machineOf(databases?.coordinator ?? null, false),
    counters: () => Promise.resolve(null), pids: () => new Map(),
  };
}

/** The participants beyond the shop's that a configuration asks for. */
function extraNames(configurations: readonly RunSettings[]): readonly string[] {
  const most = Math.max(...configurations.map(({ workload }) => workload.participants));
  return Array.from({ length: Math.max(0, most - SHOP.length) }, (_, i) => `extra-${i + 1}`);
}

/** Of databases to be audited. */
export function pools(cleanup: (() => Promise<void>)[]): (url: string) => Pool {
  return (url) => {
    const pool = createPool(url, { max: 2, applicationName: 'concordat-load', statementTimeoutMs: STATEMENT_TIMEOUT_MS });
    cleanup.push(() => pool.end());
    return pool;
  };
}
