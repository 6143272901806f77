import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import type { DataDir } from '../stack/data-dir.ts';
import { ServerProcess } from '../stack/server-process.ts';
import { SERVICE_FLAGS } from '../stack/service-command.ts';
import { SetupError } from '../stack/setup-error.ts';
import { problemOf } from '../start/ready.ts';

const LOADTEST = fileURLToPath(new URL('../../dist/apps/loadtest/src/', import.meta.url));
const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const START_LIMIT_MS = 60_000;

export interface NodeServer {
  readonly name: string;
  /** A program of dist/apps/loadtest/src. */
  readonly script: string;
  /** Where it answers /health/ready; null: it says `listening on`, and is ready then. */
  readonly healthUrl: string | null;
  readonly env: NodeJS.ProcessEnv;
}

/** A server of the load tester's own, in a process of its own; its log is `logs/<name>.log` of the data folder. @throws SetupError when it does not become ready */
export async function startNodeServer({ name, script, healthUrl, env }: NodeServer, dataDir: DataDir, cleanup: (() => Promise<void>)[]): Promise<ServerProcess> {
  const logFile = dataDir.file('logs', `${name}.log`);
  const server = new ServerProcess({
    name, logFile, records: dataDir.records,
    command: () => ({ command: process.execPath, args: [...SERVICE_FLAGS, `${LOADTEST}${script}`], cwd: ROOT, env }),
    // Who is to be asked is asked below.
    isReady: (_pid, logged) => healthUrl !== null || logged.includes('listening on '),
    stopSignal: 'SIGTERM', stopGraceMs: 15_000, stopOrder: 1, startLimitMs: START_LIMIT_MS,
  });
  cleanup.push(async () => void (await server.stop()));
  await server.start();
  if (healthUrl === null) return server;
  let problem: string | null = null;
  for (const deadline = Date.now() + START_LIMIT_MS; Date.now() < deadline; await sleep(100)) {
    problem = await problemOf(healthUrl);
    if (problem === null) return server;
    if (!server.running) throw new SetupError('SERVICE_FAILED', `${name} has ended; its log is ${logFile}`);
  }
  throw new SetupError('SERVICE_FAILED', `${name} was not ready after ${START_LIMIT_MS / 1000} s: ${problem}; its log is ${logFile}`);
}
