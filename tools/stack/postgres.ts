import { createHash, randomBytes } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { type Account, canEnter, unprivilegedAccount } from './account.ts';
import type { DataDir } from './data-dir.ts';
import { endProcess } from './end-process.ts';
import { type PostgresBinaries, postgresBinaries } from './postgres-binaries.ts';
import { choosePort } from './ports.ts';
import { commandOf, identityOf } from './process-identity.ts';
import { runCommand } from './run-command.ts';
import { ServerProcess } from './server-process.ts';
import { isSetupError, SetupError } from './setup-error.ts';

export interface Postgres {
  /** `postgres://` URL of the superuser, database `postgres`; holds the password. */
  readonly adminUrl: string;
  readonly pid: number;
  url(database: string): string;
  /** A clean stop ("fast shutdown"): connections are cut, everything is on disk. */
  stop(): Promise<void>;
  /** On the same port as before. */
  start(): Promise<void>;
  kill9(): Promise<void>;
}

const SETTINGS = {
  listen_addresses: '127.0.0.1',
  unix_socket_directories: '',
  max_connections: 200,
  max_prepared_transactions: 200,
  // On, as by default: said here because durability is what everything above relies on.
  fsync: 'on',
  synchronous_commit: 'on',
};

/** A PostgreSQL cluster in the data folder, made at first use with a random password. */
export async function startPostgres(dataDir: DataDir, options: { readonly port?: number; readonly log: (line: string) => void }): Promise<Postgres> {
  const account = unprivilegedAccount();
  const binaries = postgresBinaries(account);
  const home = clusterHome(dataDir, account, options.log);
  const cluster = path.join(home, 'postgres');
  const password = passwordOf(dataDir);
  if (!fs.existsSync(path.join(cluster, 'PG_VERSION'))) {
    options.log('PostgreSQL: making the database cluster');
    await initialise(binaries, { home, cluster, password, account });
  }
  const server = await startOnFreePort(dataDir, { binaries, cluster, account, preferred: options.port });
  const url = (database: string): string => `postgres://postgres:${password}@127.0.0.1:${server.port}/${database}`;
  return {
    adminUrl: url('postgres'),
    get pid() { return server.process.pid; },
    url,
    stop: async () => void (await server.process.stop()),
    start: () => startRepeatedly(server.process),
    kill9: () => server.process.kill9(),
  };
}

/**
 * Where the cluster lies: in the data folder, unless Postgres runs under an account that cannot get there (a project below root's private
 * home); then in /var/lib/concordat, under a name made from the data folder's.
 */
function clusterHome(dataDir: DataDir, account: Account | null, log: (line: string) => void): string {
  if (account === null) return dataDir.path;
  const mode = fs.statSync(dataDir.path).mode & 0o777;
  if ((mode & 0o011) !== 0o011) fs.chmodSync(dataDir.path, mode | 0o011);
  if (canEnter(dataDir.path, account)) return dataDir.path;
  const home = path.join('/var/lib/concordat', createHash('sha256').update(dataDir.path).digest('hex').slice(0, 16));
  fs.mkdirSync(home, { recursive: true, mode: 0o711 });
  fs.writeFileSync(path.join(home, 'data-folder'), `${dataDir.path}\n`);
  log(`PostgreSQL: keeps its data in ${home}, because its account cannot enter ${dataDir.path}`);
  return home;
}

function passwordOf(dataDir: DataDir): string {
  const file = dataDir.file('postgres.password');
  if (!fs.existsSync(file)) fs.writeFileSync(file, randomBytes(24).toString('base64url'), { mode: 0o600 });
  return fs.readFileSync(file, 'utf8').trim();
}

/** Under another name first: an interrupted initdb leaves nothing that looks like a cluster. */
async function initialise(binaries: PostgresBinaries, at: { home: string; cluster: string; password: string; account: Account | null }): Promise<void> {
  const draft = path.join(at.home, `postgres.draft`);
  const passwordFile = path.join(at.home, 'postgres.draft.password');
  fs.rmSync(draft, { recursive: true, force: true });
  fs.mkdirSync(draft, { mode: 0o700 });
  fs.rmSync(passwordFile, { force: true });
  fs.writeFileSync(passwordFile, at.password, { mode: 0o600 });
  try {
    if (at.account !== null) for (const file of [draft, passwordFile]) fs.chownSync(file, at.account.uid, at.account.gid);
    const args = ['-D', draft, '-U', 'postgres', '-A', 'scram-sha-256', `--pwfile=${passwordFile}`, '-E', 'UTF8', '--locale=C', '--no-instructions'];
    const { code, output } = await runCommand(binaries.initdb, args, { ...at.account, cwd: draft });
    if (code !== 0) throw new SetupError('SERVER_FAILED', `PostgreSQL: initdb failed (exit code ${code}):\n${output.trim()}`);
    fs.renameSync(draft, at.cluster);
  } finally {
    fs.rmSync(passwordFile, { force: true });
  }
}

interface Server {
  readonly process: ServerProcess;
  readonly port: number;
}

/** A port that was free a moment ago may be taken now: then another one. */
async function startOnFreePort(dataDir: DataDir, options: { binaries: PostgresBinaries; cluster: string; account: Account | null; preferred: number | undefined }): Promise<Server> {
  await endUnrecorded(options.cluster);
  for (let attempt = 1; ; attempt += 1) {
    const port = await choosePort(attempt === 1 ? options.preferred : undefined);
    const process = serverProcess(dataDir, { ...options, port });
    try {
      await process.start();
      return { process, port };
    } catch (error) {
      if (attempt >= 3 || !/Address already in use/.test((error as Error).message)) throw error;
    }
  }
}

/** After kill -9 its worker processes need a moment to notice, and until then the shared memory is refused to a new server. */
async function startRepeatedly(process: ServerProcess): Promise<void> {
  for (const deadline = Date.now() + 15_000; ;) {
    try {
      return await process.start();
    } catch (error) {
      if (!isSetupError(error) || !/shared memory block|lock file .* already exists/.test(error.message) || Date.now() > deadline) throw error;
    }
  }
}

function serverProcess(dataDir: DataDir, options: { binaries: PostgresBinaries; cluster: string; account: Account | null; port: number }): ServerProcess {
  const { binaries, cluster, account, port } = options;
  const settings = Object.entries({ ...SETTINGS, port }).flatMap(([name, value]) => ['-c', `${name}=${value}`]);
  return new ServerProcess({
    name: 'postgres',
    logFile: dataDir.file('logs', 'postgres.log'),
    records: dataDir.records,
    command: () => ({ command: binaries.postgres, args: ['-D', cluster, ...settings], cwd: cluster, env: { PATH: process.env.PATH, LC_ALL: 'C', TZ: 'UTC' }, ...account }),
    isReady: (pid) => isPostmasterReady(cluster, pid),
    stopSignal: 'SIGINT',
    stopGraceMs: 30_000,
    stopOrder: 3,
    startLimitMs: 120_000,
  });
}

/** Line 1 of postmaster.pid is the pid, line 8 the status: what pg_ctl looks at. */
function isPostmasterReady(cluster: string, pid: number): boolean {
  const lines = postmasterFile(cluster);
  return Number(lines[0]) === pid && lines[7]?.trim() === 'ready';
}

function postmasterFile(cluster: string): readonly string[] {
  try {
    return fs.readFileSync(path.join(cluster, 'postmaster.pid'), 'utf8').split('\n');
  } catch {
    return [];
  }
}

/** A server whose starter died before it could write the record down. */
async function endUnrecorded(cluster: string): Promise<void> {
  const pid = Number(postmasterFile(cluster)[0]);
  const identity = pid > 0 ? identityOf(pid) : null;
  if (identity !== null && commandOf(pid).includes(cluster)) await endProcess({ pid, identity, signal: 'SIGINT', graceMs: 30_000 });
}
