import { type ChildProcess, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { checkInvariants, createPool, type InvariantReport, migrate, seedShop } from '#libs/postgres';
import type { Txid } from '#libs/protocol';
import { choosePort } from '../../tools/stack/ports.js';
import { eventually } from './eventually.js';

export type ServiceName = 'coordinator' | 'orders' | 'payments' | 'inventory' | 'storefront';
type DatabaseName = 'coordinator' | 'orders' | 'payments' | 'inventory';
type Pool = ReturnType<typeof createPool>;

const DATABASES: readonly DatabaseName[] = ['coordinator', 'orders', 'payments', 'inventory'];

export interface ClusterOptions {
  readonly adminUrl: string;
  readonly brokers: string;
  readonly coordinators?: number;
  readonly storefront?: boolean;
  readonly env?: Readonly<Record<string, string>>;
}

/** One service process, which tests may kill and start again. */
export class ServiceProcess {
  private child: ChildProcess | null = null;
  private log = '';

  constructor(readonly name: ServiceName, readonly url: string, private readonly env: NodeJS.ProcessEnv) {}

  get pid(): number | undefined {
    return this.child?.pid;
  }

  get output(): string {
    return this.log;
  }

  spawn(): void {
    const main = path.resolve(`dist/apps/${this.name}/src/main.js`);
    const child = spawn(process.execPath, ['--enable-source-maps', main], { env: this.env, stdio: ['ignore', 'pipe', 'pipe'] });
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (bytes: Buffer) => { this.log = (this.log + bytes.toString()).slice(-200_000); });
    this.child = child;
  }

  /** Resolves when the service says that it is ready. */
  async ready(timeoutMs = 60_000): Promise<void> {
    await eventually(`${this.name} ready at ${this.url}`, async () => {
      if (this.child === null || this.child.exitCode !== null) throw new Error(`${this.name} exited ${this.child?.exitCode}:\n${this.log.slice(-4000)}`);
      const response = await fetch(`${this.url}/health/ready`);
      if (response.status !== 200) throw new Error(`${response.status} ${await response.text()}\n${this.log.slice(-2000)}`);
    }, timeoutMs);
  }

  async start(): Promise<void> {
    this.spawn();
    await this.ready();
  }

  /** No warning, no clean-up: SIGKILL, as a crash would. */
  async kill9(): Promise<void> {
    await this.end('SIGKILL');
  }

  async stop(): Promise<void> {
    await this.end('SIGTERM');
  }

  private async end(signal: NodeJS.Signals): Promise<void> {
    const child = this.child;
    this.child = null;
    if (child === null || child.exitCode !== null || child.signalCode !== null) return;
    const exited = new Promise((resolve) => child.once('exit', resolve));
    child.kill(signal);
    const hurry = setTimeout(() => child.kill('SIGKILL'), 15_000);
    await exited;
    clearTimeout(hurry);
  }
}

/** Coordinators, three participants and (if wanted) the storefront as real processes, with databases and topics of their own. */
export class Cluster {
  private constructor(
    readonly coordinators: readonly ServiceProcess[],
    readonly services: Readonly<Record<'orders' | 'payments' | 'inventory', ServiceProcess>>,
    readonly storefront: ServiceProcess | null,
    readonly tokens: Readonly<Record<'submit' | 'read' | 'operate', string>>,
    readonly pools: Readonly<Record<DatabaseName, Pool>>,
    readonly topicPrefix: string,
    private readonly dataDir: string,
  ) {}

  static async start(options: ClusterOptions): Promise<Cluster> {
    const id = `t${randomBytes(4).toString('hex')}`;
    const dataDir = fs.mkdtempSync(path.join(os.tmpdir(), 'concordat-cluster-'));
    const urls = Object.fromEntries(DATABASES.map((name) => [name, databaseUrl(options.adminUrl, `${id}_${name}`)])) as Record<DatabaseName, string>;
    await Promise.all(DATABASES.map((name) => migrate(urls[name], name)));
    const pools = Object.fromEntries(DATABASES.map((name) => [name, createPool(urls[name], { max: 2, applicationName: 'checker' })])) as unknown as Record<DatabaseName, Pool>;
    await seedAll(pools);
    const tokens = writeTokens(path.join(dataDir, 'tokens.json'));

    const coordinatorCount = options.coordinators ?? 1;
    const ports = await freePorts(coordinatorCount + 4);
    const at = (port: number): string => `http://127.0.0.1:${port}`;
    const base: NodeJS.ProcessEnv = {
      PATH: process.env.PATH, HOME: process.env.HOME, NODE_ENV: 'production', LOG_LEVEL: 'warn',
      CONCORDAT_DATA_DIR: dataDir, KAFKA_BROKERS: options.brokers, KAFKA_TOPIC_PREFIX: id,
      ...Object.fromEntries(DATABASES.map((name) => [`${name.toUpperCase()}_DATABASE_URL`, urls[name]])),
      ORDERS_PORT: String(ports[0]), PAYMENTS_PORT: String(ports[1]), INVENTORY_PORT: String(ports[2]), STOREFRONT_PORT: String(ports[3]),
      ORDERS_URL: at(ports[0]!), PAYMENTS_URL: at(ports[1]!), INVENTORY_URL: at(ports[2]!), COORDINATOR_URL: at(ports[4]!),
      ...options.env,
    };
    const coordinators = ports.slice(4).map((port, i) => new ServiceProcess('coordinator', at(port), { ...base, COORDINATOR_PORT: String(port), INSTANCE_ID: `coordinator-${i}` }));
    const service = (name: 'orders' | 'payments' | 'inventory', i: number): ServiceProcess => new ServiceProcess(name, at(ports[i]!), { ...base, INSTANCE_ID: `${name}-0` });
    const services = { orders: service('orders', 0), payments: service('payments', 1), inventory: service('inventory', 2) };
    const storefront = options.storefront === true ? new ServiceProcess('storefront', at(ports[3]!), base) : null;
    const cluster = new Cluster(coordinators, services, storefront, tokens, pools, id, dataDir);
    try {
      await Promise.all(cluster.processes().map((p) => p.start()));
      await cluster.participantsKnown();
    } catch (error) {
      await cluster.stop();
      throw error;
    }
    return cluster;
  }

  get url(): string {
    return this.coordinators[0]!.url;
  }

  processes(): readonly ServiceProcess[] {
    return [...this.coordinators, ...Object.values(this.services), ...(this.storefront === null ? [] : [this.storefront])];
  }

  /** A request with the given role's token; `role: null` sends none. */
  async call(method: string, pathAndQuery: string, options: { body?: unknown; role?: 'submit' | 'read' | 'operate' | null; headers?: Record<string, string>; url?: string } = {}): Promise<{ status: number; headers: Headers; body: any }> {
    const role = options.role === undefined ? 'operate' : options.role;
    const response = await fetch((options.url ?? this.url) + pathAndQuery, {
      method,
      headers: {
        ...(role === null ? {} : { authorization: `Bearer ${this.tokens[role]}` }),
        ...(options.body === undefined ? {} : { 'content-type': 'application/json' }),
        ...options.headers,
      },
      ...(options.body === undefined ? {} : { body: typeof options.body === 'string' ? options.body : JSON.stringify(options.body) }),
    });
    const text = await response.text();
    return { status: response.status, headers: response.headers, body: /json/.test(response.headers.get('content-type') ?? '') ? JSON.parse(text) : text };
  }

  /** Waits until nothing is on its way any more, then checks all invariants; throws what is broken after `timeoutMs`. */
  async audit(answers: ReadonlyMap<Txid, 'committed' | 'aborted'> = new Map(), timeoutMs = 60_000): Promise<InvariantReport> {
    let report: InvariantReport | undefined;
    await eventually('all invariants hold', async () => {
      report = await checkInvariants(this.pools, answers);
      if (!report.ok) throw new Error(JSON.stringify(report.checks.filter((c) => !c.ok), null, 1));
    }, timeoutMs);
    return report!;
  }

  /** Logs of every process, for a failing test. */
  logs(): string {
    return this.processes().map((p) => `--- ${p.name} ${p.url}\n${p.output.slice(-6000)}`).join('\n');
  }

  async stop(): Promise<void> {
    await Promise.all(this.processes().map((p) => p.stop()));
    await Promise.all(Object.values(this.pools).map((pool) => pool.end()));
    fs.rmSync(this.dataDir, { recursive: true, force: true });
  }

  private async participantsKnown(): Promise<void> {
    await eventually('every coordinator lists the three participants', async () => {
      for (const coordinator of this.coordinators) {
        const { body } = await this.call('GET', '/v1/participants', { url: coordinator.url, role: 'read' });
        const names = JSON.stringify(body);
        for (const name of ['orders', 'payments', 'inventory']) if (!names.includes(`"${name}"`)) throw new Error(`${name} not announced: ${names}`);
      }
    });
  }
}

async function seedAll(pools: Readonly<Record<DatabaseName, Pool>>): Promise<void> {
  await Promise.all([seedShop('payments', (sql) => pools.payments.query(sql)), seedShop('inventory', (sql) => pools.inventory.query(sql))]);
}

function databaseUrl(adminUrl: string, database: string): string {
  const url = new URL(adminUrl);
  url.pathname = `/${database}`;
  return url.href;
}

function writeTokens(file: string): Record<'submit' | 'read' | 'operate', string> {
  const token = (): string => randomBytes(32).toString('base64url');
  const tokens = { submit: token(), read: token(), operate: token() };
  fs.writeFileSync(file, JSON.stringify(tokens), { mode: 0o600 });
  return tokens;
}

/** Ports that were free a moment ago, all different. */
export async function freePorts(count: number): Promise<number[]> {
  const ports: number[] = [];
  while (ports.length < count) ports.push(await choosePort(undefined, ports));
  return ports;
}
