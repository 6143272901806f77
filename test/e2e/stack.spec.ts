import { afterAll, afterEach, describe, expect, it, jest } from '@jest/globals';
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import fs from 'node:fs';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { createPool } from '#libs/postgres';
import { openDataDir } from '../../tools/stack/data-dir.js';
import { commandOf, identityOf } from '../../tools/stack/process-identity.js';
import { startStack } from '../../tools/stack.js';
import { freePorts } from '../support/cluster.js';
import { eventually } from '../support/eventually.js';

jest.setTimeout(180_000);

const scratch = fs.mkdtempSync(path.join(os.tmpdir(), 'concordat-stack-'));
// Under root Postgres runs as somebody else, who must get through here.
fs.chmodSync(scratch, 0o711);
const started: ChildProcess[] = [];
afterEach(() => { for (const child of started.splice(0)) child.kill('SIGKILL'); });
afterAll(() => fs.rmSync(scratch, { recursive: true, force: true }));

let folders = 0;
const newFolder = (): string => path.join(scratch, String(folders += 1));

interface Run {
  readonly child: ChildProcess;
  readonly pid: number;
  output(): string;
  /** Exit code, and null after a signal. */
  readonly ended: Promise<number | null>;
}

function run(args: readonly string[], env: NodeJS.ProcessEnv = {}): Run {
  // Not as a script of npm, whose end would be taken for the end of the starter's owner.
  const child = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', ...args], { env: { ...process.env, npm_lifecycle_event: undefined, ...env }, stdio: ['ignore', 'pipe', 'pipe'] });
  started.push(child);
  let output = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (bytes: Buffer) => { output += bytes.toString(); });
  return { child, pid: child.pid!, output: () => output, ended: new Promise((resolve) => { child.once('close', resolve); }) };
}

/** A process that holds a stack with only Postgres until it is killed. */
async function holdStack(dataDir: string): Promise<Run & { readonly postgres: number }> {
  const script = `import { startStack } from ${JSON.stringify(path.resolve('tools/stack.ts'))};
    const stack = await startStack({ dataDir: ${JSON.stringify(dataDir)}, kafka: false, log: () => undefined });
    console.log('postgres=' + stack.postgres.pid);
    setInterval(() => undefined, 1000);`;
  const holder = run(['--input-type=module', '-e', script]);
  const postgres = await eventually('the stack is up', async () => {
    const pid = /postgres=(\d+)/.exec(holder.output())?.[1];
    if (pid === undefined) throw new Error(holder.output());
    return Number(pid);
  });
  return { ...holder, postgres };
}

function childrenOf(pid: number): readonly number[] {
  return execFileSync('ps', ['-eo', 'pid=,ppid='], { encoding: 'utf8' }).trim().split('\n').map((line) => line.trim().split(/\s+/).map(Number)).filter(([, parent]) => parent === pid).map(([child]) => child!);
}

const gone = (what: string, pid: number): Promise<void> => eventually(`${what} is gone`, async () => {
  if (identityOf(pid) !== null) throw new Error(commandOf(pid));
});

describe('the embedded servers', () => {
  it('are durable, ask for a password, and keep data and port over a restart and a kill', async () => {
    const stack = await startStack({ dataDir: newFolder(), kafka: false, log: () => undefined });
    const { port } = new URL(stack.postgres.adminUrl);
    const query = async (sql: string, url = stack.postgres.adminUrl): Promise<unknown> => {
      const pool = createPool(url, { max: 1, applicationName: 'stack-test' });
      try {
        return Object.values((await pool.query(sql)).rows[0] ?? {})[0];
      } finally {
        await pool.end();
      }
    };
    try {
      expect([await query('SHOW fsync'), await query('SHOW synchronous_commit'), await query('SHOW full_page_writes')]).toEqual(['on', 'on', 'on']);
      await expect(query('SELECT 1', `postgres://postgres:wrong@127.0.0.1:${port}/postgres`)).rejects.toMatchObject({ code: '28P01' });
      await query('CREATE TABLE kept AS SELECT 42 AS value');
      await stack.postgres.stop();
      await stack.postgres.start();
      expect(await query('SELECT value FROM kept')).toBe(42);
      await query('UPDATE kept SET value = 43');
      await stack.postgres.kill9();
      await stack.postgres.start();
      expect(await query('SELECT value FROM kept')).toBe(43);
    } finally {
      await stack.stop();
    }
  });

  it('end by themselves when their owner is killed with -9', async () => {
    const holder = await holdStack(newFolder());
    holder.child.kill('SIGKILL');
    await gone('Postgres', holder.postgres);
  });

  it('are found and ended by the next start when even the watchdog was killed', async () => {
    const dataDir = newFolder();
    const holder = await holdStack(dataDir);
    const watchdog = childrenOf(holder.pid).find((pid) => commandOf(pid).includes('watchdog-main'))!;
    process.kill(watchdog, 'SIGKILL');
    holder.child.kill('SIGKILL');
    await gone('the owner', holder.pid);
    expect(identityOf(holder.postgres)).not.toBeNull();
    const log: string[] = [];
    const stack = await startStack({ dataDir, kafka: false, log: (line) => log.push(line) });
    try {
      expect(log).toContain(`ending postgres (process ${holder.postgres}), left over from an earlier start that was killed`);
      expect(identityOf(holder.postgres)).toBeNull();
      expect(identityOf(stack.postgres.pid)).not.toBeNull();
    } finally {
      await stack.stop();
    }
  });

  it('are not looked for among strangers: a process that got a recorded pid later stays alive', async () => {
    const dataDir = newFolder();
    const stranger = run(['-e', 'setInterval(() => undefined, 1000)']);
    fs.mkdirSync(path.join(dataDir, 'run'), { recursive: true });
    fs.writeFileSync(path.join(dataDir, 'run', 'postgres.json'), JSON.stringify({ name: 'postgres', pid: stranger.pid, identity: 'another boot/1', signal: 'SIGKILL', graceMs: 1000, order: 3 }));
    fs.writeFileSync(path.join(dataDir, 'run', 'lock'), JSON.stringify({ pid: stranger.pid, identity: 'another boot/1' }));
    const folder = await openDataDir(dataDir, () => undefined);
    await folder.close();
    expect(identityOf(stranger.pid)).not.toBeNull();
    expect(fs.readdirSync(path.join(dataDir, 'run'))).toEqual([]);
  });

  it('belong to one owner: of many who take a folder at once one gets it, the others one clear line', async () => {
    const dataDir = newFolder();
    const holder = await holdStack(dataDir);
    await expect(startStack({ dataDir, kafka: false, log: () => undefined })).rejects.toMatchObject({
      code: 'DATA_DIR_IN_USE', message: `Another start (process ${holder.pid}) is using the data folder ${dataDir}: stop it first, or set CONCORDAT_DATA_DIR to another folder.`,
    });
    expect(identityOf(holder.postgres)).not.toBeNull();
    holder.child.kill('SIGKILL');
    await gone('Postgres', holder.postgres);
    const tries = await Promise.allSettled(Array.from({ length: 8 }, () => openDataDir(dataDir, () => undefined)));
    const winners = tries.flatMap((result) => (result.status === 'fulfilled' ? [result.value] : []));
    await Promise.all(winners.map((folder) => folder.close()));
    expect(winners).toHaveLength(1);
  });
});

describe('a test run', () => {
  it('that is killed with -9 takes the processes along that its tests had started', async () => {
    const test = `import { spawn } from 'node:child_process';
      const service = spawn(process.execPath, ['-e', 'setInterval(() => undefined, 1000)'], { stdio: 'ignore' });
      console.log('service=' + service.pid);`;
    const runner = run(['--input-type=module', '-e', `import { runInGroup } from ${JSON.stringify(path.resolve('tools/test/run-in-group.ts'))};
      await runInGroup(process.execPath, ['--input-type=module', '-e', ${JSON.stringify(test)}], process.env);`]);
    const service = await eventually('the service runs', async () => {
      const pid = /service=(\d+)/.exec(runner.output())?.[1];
      if (pid === undefined) throw new Error(runner.output());
      return Number(pid);
    });
    expect(identityOf(service)).not.toBeNull();
    runner.child.kill('SIGKILL');
    await gone('the service', service);
  });
});

describe('npm start', () => {
  const start = (env: NodeJS.ProcessEnv, args: readonly string[] = []): Run => run(['tools/start.mjs', ...args], { CONCORDAT_DATA_DIR: newFolder(), KAFKA_BROKERS: undefined, ...env });

  /** A PATH with what a bare system has, but no Java and no Maven. */
  function pathWithoutJava(): string {
    const bin = newFolder();
    fs.mkdirSync(bin, { recursive: true });
    for (const name of ['id', 'sh', 'ps']) fs.symlinkSync(execFileSync('/bin/sh', ['-c', `command -v ${name}`], { encoding: 'utf8' }).trim(), path.join(bin, name));
    return bin;
  }

  async function portsEnv(): Promise<NodeJS.ProcessEnv> {
    const ports = await freePorts(5);
    return Object.fromEntries(['COORDINATOR', 'ORDERS', 'PAYMENTS', 'INVENTORY', 'STOREFRONT'].map((name, i) => [`${name}_PORT`, String(ports[i])]));
  }

  async function refusal(started: Run): Promise<{ code: number | null; last: string }> {
    const code = await started.ended;
    return { code, last: started.output().trim().split('\n').at(-1)! };
  }

  it('says which port is busy and what to do', async () => {
    const server = net.createServer().listen(0, '127.0.0.1');
    await new Promise((resolve) => server.once('listening', resolve));
    const { port } = server.address() as net.AddressInfo;
    const result = await refusal(start({ ...(await portsEnv()), ORDERS_PORT: String(port) }));
    server.close();
    expect(result).toEqual({ code: 1, last: `concordat: Port ${port} (ORDERS_PORT) is in use on 127.0.0.1: stop what listens there, or set ORDERS_PORT to a free port.` });
  });

  it('says that Java is missing and how to get it, when Kafka is asked for', async () => {
    const { code, last } = await refusal(start({ ...(await portsEnv()), TRANSPORT: 'kafka', PATH: pathWithoutJava(), JAVA_HOME: undefined }));
    expect(code).toBe(1);
    expect(last).toMatch(/^concordat: Java was not found; Apache Kafka needs Java 17 or later: install it \(.*apt-get install.*\), or set KAFKA_BROKERS to a running cluster\.$/);
  });

  it('names a data folder that cannot be written to, and a wrong variable', async () => {
    expect(await refusal(start({ CONCORDAT_DATA_DIR: '/dev/null/data' }))).toEqual({ code: 1, last: 'concordat: The data folder /dev/null/data cannot be written to (ENOTDIR): make it writable for this user, or set CONCORDAT_DATA_DIR to a folder that is.' });
    expect(await refusal(start({ COORDINATOR_PORT: '70000' }))).toEqual({ code: 1, last: 'concordat: COORDINATOR_PORT got "70000"; it takes a whole number from 0 to 65535' });
  });

  it('refuses an old Node in one line', async () => {
    const old = 'data:text/javascript,Object.defineProperty(process, "versions", { value: { node: "18.20.0" } })';
    const result = await refusal(run(['--import', old, 'tools/start.mjs']));
    expect(result).toEqual({ code: 1, last: 'concordat: Node 18.20.0 is too old: install Node 20 or later (https://nodejs.org, or nvm install 22) and start again' });
  });

  it('explains itself with --help, and refuses other options', async () => {
    const help = start({}, ['--help']);
    expect([await help.ended, help.output().split('\n')[0]]).toEqual([0, 'npm start: runs all of Concordat on this machine, with nothing prepared.']);
    expect(await refusal(start({}, ['--jsn']))).toEqual({ code: 2, last: 'concordat: unknown option --jsn; npm start takes only --help (npm start -- --help)' });
  });

  it('runs everything without Java, shows one commit and one refusal, and leaves no process behind when it is stopped', async () => {
    const dataDir = newFolder();
    const env = { ...(await portsEnv()), PATH: pathWithoutJava(), JAVA_HOME: undefined, CONCORDAT_DATA_DIR: dataDir };
    const running = start(env);
    await eventually('it is up', async () => { if (!running.output().includes('Ctrl-C stops everything.')) throw new Error(running.output().slice(-3000)); }, 120_000);
    expect(running.output()).toMatch(/Java was not found.* Going on without Kafka: all services in one process/);
    expect(running.output()).toMatch(/A checkout of 10\.00: COMMITTED/);
    expect(running.output()).toMatch(/A checkout of 50000\.00, .*: ABORTED .*INSUFFICIENT_FUNDS, said by payments/);
    expect(running.output()).toContain(`tokens (submit, read, operate): ${path.join(dataDir, 'tokens.json')}`);
    const records = fs.readdirSync(path.join(dataDir, 'run')).filter((name) => name.endsWith('.json')).map((name) => JSON.parse(fs.readFileSync(path.join(dataDir, 'run', name), 'utf8')) as { name: string; pid: number });
    expect(records.map((record) => record.name).sort()).toEqual(['postgres', 'standalone']);
    running.child.kill('SIGTERM');
    expect(await running.ended).toBe(0);
    for (const { name, pid } of records) expect([name, identityOf(pid)]).toEqual([name, null]);
    expect(fs.readdirSync(path.join(dataDir, 'run'))).toEqual([]);
  });
});
