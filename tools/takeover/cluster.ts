import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { openDataDir } from '../stack/data-dir.ts';
import { choosePort } from '../stack/ports.ts';
import { ServiceProcess } from '../start/service-process.ts';
import { participantsKnown } from '../start/ready.ts';
import { startOwnServers } from '../start/servers.ts';
import { serviceEnv } from '../start/service-env.ts';
import { type Database, DATABASES, portVariable, SERVICES, settingsFrom, urlOf, withFreePorts } from '../start/settings.ts';
import type { Role } from './options.ts';

export const PARTICIPANTS = ['orders', 'payments', 'inventory'] as const;
const PREFIX = 'concordat';

type Pool = ReturnType<typeof import('#libs/postgres').createPool>;
type GroupObserver = InstanceType<typeof import('#libs/kafka').GroupObserver>;

/** The participant whose instances are killed. They are all alike. */
export const KILLED = 'payments';

/** Real servers, one instance of everything, and a second one of what is to be killed: more would only compete with what is measured. */
export interface Cluster {
  /** One or two. */
  readonly coordinators: readonly ServiceProcess[];
  /** One or two instances each. */
  readonly participants: Readonly<Record<(typeof PARTICIPANTS)[number], readonly ServiceProcess[]>>;
  readonly pools: Readonly<Record<Database, Pool>>;
  readonly groups: GroupObserver;
  readonly submitToken: string;
  readonly readToken: string;
  /** The folder with the logs of all processes. */
  readonly logs: string;
  stop(): Promise<void>;
}

/** @param env of all services, beside what they need to find each other */
export async function startCluster(roles: readonly Role[], env: Readonly<Record<string, string>>, say: (line: string) => void): Promise<Cluster> {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'concordat-takeover-'));
  const cleanup: (() => Promise<void>)[] = [async () => fs.rmSync(folder, { recursive: true, force: true })];
  const stop = async (): Promise<void> => { while (cleanup.length > 0) await cleanup.pop()!(); };
  try {
    return { ...(await start(folder, roles, env, say, cleanup)), stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

/** Copies the logs of all processes to a folder that stays. Answers its path. */
export function keepLogs({ logs }: Cluster): string {
  const kept = fs.mkdtempSync(path.join(os.tmpdir(), 'concordat-takeover-logs-'));
  fs.cpSync(logs, kept, { recursive: true });
  return kept;
}

async function start(folder: string, roles: readonly Role[], env: Readonly<Record<string, string>>, say: (line: string) => void, cleanup: (() => Promise<void>)[]): Promise<Omit<Cluster, 'stop'>> {
  const dataDir = await openDataDir(folder, say);
  cleanup.push(() => dataDir.close());
  const { kafka, databaseUrls } = await startOwnServers(dataDir, cleanup, say);

  const { createPool } = await import('#libs/postgres');
  const { GroupObserver } = await import('#libs/kafka');
  const pools = Object.fromEntries(DATABASES.map((name) => [name, createPool(databaseUrls[name], { max: 3, applicationName: 'concordat-takeover' })])) as unknown as Record<Database, Pool>;
  cleanup.push(async () => { for (const pool of Object.values(pools)) await pool.end(); });
  const groups = new GroupObserver([kafka.brokers], PREFIX);
  await groups.connect();
  cleanup.push(() => groups.close());

  const settings = await withFreePorts(settingsFrom({ CONCORDAT_DATA_DIR: dataDir.path, ...Object.fromEntries(SERVICES.map((name) => [portVariable(name), '0'])) }));
  const base = serviceEnv(settings, { databaseUrls, brokers: kafka.brokers }, { PATH: process.env.PATH, LOG_LEVEL: 'warn', KAFKA_TOPIC_PREFIX: PREFIX, ...env });
  const taken = Object.values(settings.ports);
  const instances = async (service: (typeof SERVICES)[number], isKilled: boolean): Promise<readonly ServiceProcess[]> => {
    const instance = (name: string, url: string, more: NodeJS.ProcessEnv): ServiceProcess => new ServiceProcess({ name, service, url, dataDir, env: { ...base, ...more, INSTANCE_ID: name } });
    const first = instance(`${service}-0`, urlOf(settings, service), {});
    if (!isKilled) return [first];
    const port = await choosePort(undefined, taken);
    taken.push(port);
    return [first, instance(`${service}-1`, `http://127.0.0.1:${port}`, { [portVariable(service)]: String(port) })];
  };
  const coordinators = await instances('coordinator', roles.includes('coordinator'));
  const participants = Object.fromEntries(await Promise.all(PARTICIPANTS.map(async (name) => [name, await instances(name, name === KILLED && roles.includes('participant'))] as const))) as Cluster['participants'];
  const all = [coordinators, ...Object.values(participants)].flat();
  cleanup.push(async () => { await Promise.all(all.map((instance) => instance.terminate())); });
  // The first one writes the tokens that the others read.
  coordinators[0]!.start();
  await coordinators[0]!.ready();
  for (const instance of all.slice(1)) instance.start();
  await Promise.all(all.map((instance) => instance.ready()));
  const tokens = JSON.parse(fs.readFileSync(settings.tokensFile, 'utf8')) as Record<'submit' | 'read', string>;
  for (const { url } of coordinators) await participantsKnown({ url, submitToken: tokens.submit, readToken: tokens.read }, PARTICIPANTS);
  return { coordinators, participants, pools, groups, submitToken: tokens.submit, readToken: tokens.read, logs: dataDir.file('logs') };
}
