// All of Concordat on this machine, under one supervisor. Started by start.mjs.
import fs from 'node:fs';
import { build } from './build.ts';
import { isSetupError } from './stack/setup-error.ts';
import { type DataDir, openDataDir } from './stack/data-dir.ts';
import { prepareDatabases } from './start/databases.ts';
import { type Coordinator, demonstrate } from './start/demonstration.ts';
import { LogLines } from './start/log-lines.ts';
import { participantsKnown, servicesReady } from './start/ready.ts';
import { type Servers, startServers } from './start/servers.ts';
import { serviceEnv } from './start/service-env.ts';
import { SERVICES, type Settings, settingsFrom, urlOf, withFreePorts } from './start/settings.ts';
import { Supervisor } from './start/supervisor.ts';
import { renderTable } from './start/table.ts';

const lines = new LogLines();
const say = (line: string): void => lines.write('concordat', line);

/** Settles when this process is asked to end, by a signal, by the end of its starter, or by a service that can never run. */
let end!: () => void;
let fail!: (error: Error) => void;
const ending = new Promise<void>((resolve, reject) => { [end, fail] = [resolve, reject]; });
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, end);
process.on('disconnect', end);
// The reader of our output may be gone before us; that must not keep us from stopping.
for (const out of [process.stdout, process.stderr]) out.on('error', () => undefined);
ending.catch(() => undefined);

async function main(): Promise<void> {
  const given = settingsFrom(process.env);
  const dataDir = await openDataDir(given.dataDir, say);
  const cleanup: (() => Promise<void>)[] = [() => dataDir.close()];
  try {
    await Promise.race([runAll(given, dataDir, cleanup), ending]);
    say('stopping');
  } finally {
    while (cleanup.length > 0) await cleanup.pop()!();
  }
  say('stopped');
}

/** `cleanup` gets what must be undone, in order. Resolves never: ends with the process, or by an error. */
async function runAll(given: Settings, dataDir: DataDir, cleanup: (() => Promise<void>)[]): Promise<void> {
  const began = Date.now();
  const settings = await withFreePorts(given);
  say('building (nothing to do when unchanged) ...');
  if (await build()) say('built');
  const servers = await startServers(settings, dataDir, say);
  cleanup.push(() => servers.stop());
  await prepareDatabases(servers.databaseUrls, say);
  const supervisor = new Supervisor({ records: dataDir.records, lines, env: serviceEnv(settings, servers, process.env), onFatal: fail });
  cleanup.push(() => supervisor.stop());
  for (const name of servers.brokers === null ? ['standalone'] : SERVICES) supervisor.start(name);
  await servicesReady(settings);
  say(`everything is ready after ${((Date.now() - began) / 1000).toFixed(1)} s`);
  await showCheckouts(settings);
  process.stdout.write(`\n${addresses(settings, servers)}\n\n`);
  await new Promise(() => undefined);
}

async function showCheckouts(settings: Settings): Promise<void> {
  if (settings.auth === 'jwks') return say('no checkout to show: with CONCORDAT_JWKS_URL only your issuer can make a token');
  const token = (role: 'submit' | 'read'): string | null => (settings.auth === 'off' ? null : (JSON.parse(fs.readFileSync(settings.tokensFile, 'utf8')) as Record<string, string>)[role]!);
  const coordinator: Coordinator = { url: urlOf(settings, 'coordinator'), submitToken: token('submit'), readToken: token('read') };
  await participantsKnown(coordinator, ['orders', 'payments', 'inventory']);
  process.stdout.write(`\n${await demonstrate(coordinator)}\n`);
}

function addresses(settings: Settings, servers: Servers): string {
  const about: Readonly<Record<(typeof SERVICES)[number], string>> = {
    coordinator: 'API under /v1, documentation /docs, metrics /metrics', orders: 'orders', payments: 'accounts', inventory: 'stock', storefront: 'POST /checkout, GET /orders/{id}',
  };
  return [
    renderTable(['service', 'address', 'what'], SERVICES.map((name) => [name, urlOf(settings, name), about[name]])),
    '',
    ...servers.summary,
    settings.auth === 'tokens' ? `tokens (submit, read, operate): ${settings.tokensFile}` : settings.auth === 'off' ? 'authentication is off' : 'tokens: those of CONCORDAT_JWKS_URL',
    `data and logs: ${settings.dataDir}`,
    'Ctrl-C stops everything.',
  ].join('\n');
}

main().then(() => process.exit(0), (error: unknown) => {
  process.stderr.write(`concordat: ${isSetupError(error) ? error.message : (error as Error).stack}\n`);
  process.exit(1);
});
