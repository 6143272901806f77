// Kafka, Postgres and all services with data of their own, the load tester against them, then everything removed. Started by load.mjs.
import { spawn } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { build } from './build.ts';
import { type DataDir, openDataDir } from './stack/data-dir.ts';
import { isSetupError } from './stack/setup-error.ts';
import { untilEnded } from './stack/until-ended.ts';
import { LogLines } from './start/log-lines.ts';
import { participantsKnown, servicesReady } from './start/ready.ts';
import { startOwnServers } from './start/servers.ts';
import { serviceEnv } from './start/service-env.ts';
import { portVariable, type Service, SERVICES, settingsFrom, urlOf, withFreePorts } from './start/settings.ts';
import { Supervisor } from './start/supervisor.ts';

const LOADTEST = fileURLToPath(new URL('../dist/apps/loadtest/src/', import.meta.url));
const say = (line: string): void => void process.stderr.write(`${line}\n`);

const { ending, end } = untilEnded();

/** Answers the load tester's exit code; 130 when stopped from outside. */
async function main(args: readonly string[]): Promise<number> {
  await build();
  if (!(await understands(args))) return 2;
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'concordat-load-'));
  const dataDir = await openDataDir(folder, say);
  const cleanup: (() => Promise<void>)[] = [() => dataDir.close()];
  try {
    return await Promise.race([measure(args, dataDir, cleanup), ending.then(() => 130)]);
  } finally {
    while (cleanup.length > 0) await cleanup.pop()!();
    fs.rmSync(folder, { recursive: true, force: true });
  }
}

/** Says what is wrong with the options, or gives help, before anything is started. */
async function understands(args: readonly string[]): Promise<boolean> {
  const { parseLoadOptions } = await import(pathToFileURL(path.join(LOADTEST, 'options.js')).href);
  try {
    if (parseLoadOptions(args, { COORDINATOR_URL: 'http://127.0.0.1', CONCORDAT_TOKEN: '-' }) !== 'help') return true;
    process.exit(await run(args, process.env));
  } catch (error) {
    say((error as Error).message);
    return false;
  }
}

async function measure(args: readonly string[], dataDir: DataDir, cleanup: (() => Promise<void>)[]): Promise<number> {
  say('starting PostgreSQL, Kafka and the services ...');
  const { postgres, kafka, databaseUrls } = await startOwnServers(dataDir, cleanup, say);

  const settings = await withFreePorts(settingsFrom({ CONCORDAT_DATA_DIR: dataDir.path, ...Object.fromEntries(SERVICES.map((name) => [portVariable(name), '0'])) }));
  const env = serviceEnv(settings, { databaseUrls, brokers: kafka.brokers }, { PATH: process.env.PATH, LOG_LEVEL: 'warn' });
  const supervisor = new Supervisor({ records: dataDir.records, lines: new LogLines(), env, onFatal: (error) => { say(error.message); end(); } });
  cleanup.push(() => supervisor.stop());
  for (const name of SERVICES) supervisor.start(name);
  await servicesReady(settings);
  const tokens = JSON.parse(fs.readFileSync(settings.tokensFile, 'utf8')) as Record<'submit' | 'read', string>;
  const url = urlOf(settings, 'coordinator');
  await participantsKnown({ url, submitToken: tokens.submit, readToken: tokens.read }, ['orders', 'payments', 'inventory']);

  const watched = new Map<string, number | undefined>([...SERVICES.map((name: Service) => [name, supervisor.pidOf(name)] as const), ['postgres', postgres.pid], ['kafka', kafka.pid]]);
  return run(args, {
    ...process.env, COORDINATOR_URL: url, CONCORDAT_TOKEN: tokens.submit, LOCAL_DATABASE_URL: await createLocalDatabase(postgres.adminUrl, postgres.url('monolith')),
    LOAD_WATCH: [...watched].filter(([, pid]) => pid !== undefined).map(([name, pid]) => `${name}=${pid}`).join(','),
  });
}

/** The yardstick's database lies on the same server as the others. */
async function createLocalDatabase(adminUrl: string, url: string): Promise<string> {
  const { createPool } = await import('#libs/postgres');
  const pool = createPool(adminUrl, { max: 1, applicationName: 'concordat-load' });
  await pool.query('CREATE DATABASE monolith');
  await pool.end();
  return url;
}

function run(args: readonly string[], env: NodeJS.ProcessEnv): Promise<number> {
  const child = spawn(process.execPath, ['--enable-source-maps', path.join(LOADTEST, 'main.js'), ...args], { env, stdio: 'inherit' });
  void ending.then(() => child.kill('SIGTERM'));
  return new Promise((resolve, reject) => child.once('error', reject).once('exit', (code) => resolve(code ?? 1)));
}

main(process.argv.slice(2)).then((code) => process.exit(code), (error: unknown) => {
  say(`concordat: ${isSetupError(error) ? error.message : (error as Error).stack}`);
  process.exit(1);
});
