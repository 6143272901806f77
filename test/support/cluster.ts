import { randomBytes } from 'node:crypto';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { checkInvariants, createPool, type DatabaseRole, type InvariantReport, migrate, seedShop } from '#libs/postgres';
import type { TransactionOutcome, Txid } from '#libs/protocol';
import { choosePort } from '../../tools/stack/ports.ts';
import type { ProcessRecords } from '../../tools/stack/process-records.ts';
import { writeTokens } from '../../tools/stack/tokens.ts';
import { eventually } from './eventually.ts';
import { ServiceProcess } from './service-process.ts';

export { ServiceProcess };
export type ParticipantName = 'orders' | 'payments' | 'inventory';
export type DatabaseName = 'coordinator' | ParticipantName;
type Pool = ReturnType<typeof createPool>;

const PARTICIPANTS: readonly ParticipantName[] = ['orders', 'payments', 'inventory'];
const DATABASES: readonly DatabaseName[] = ['coordinator', ...PARTICIPANTS];

export interface ClusterOptions {
  readonly adminUrl: string;
  /** Of databases that lie on servers of their own, so that those can be stopped alone. */
  readonly adminUrls?: Readonly<Partial<Record<DatabaseName, string>>>;
  readonly brokers: string;
  readonly coordinators?: number;
  /** Of each participant. */
  readonly instances?: number;
  /** Names of sites that are nothing but acceptors of Paxos Commit. */
  readonly acceptors?: readonly string[];
  readonly storefront?: boolean;
  readonly env?: Readonly<Record<string, string>>;
  /** Processes can be armed to kill themselves at a crash point. */
  readonly crashPoints?: boolean;
  /** What must end with the process that started it is written down here; a test run has a group of its own for that. */
  readonly records?: ProcessRecords;
}

interface Members {
  readonly coordinators: readonly ServiceProcess[];
  readonly participants: Readonly<Record<ParticipantName, readonly ServiceProcess[]>>;
  readonly acceptors: readonly ServiceProcess[];
  readonly storefront: ServiceProcess | null;
}

export interface CallOptions {
  readonly body?: unknown;
  readonly role?: 'submit' | 'read' | 'operate' | null;
  readonly headers?: Record<string, string>;
  readonly url?: string;
}

/** Coordinators, three participants and (if wanted) acceptors and the storefront as real processes, with databases and topics of their own. */
export class Cluster {
  readonly coordinators: readonly ServiceProcess[];
  readonly participants: Readonly<Record<ParticipantName, readonly ServiceProcess[]>>;
  /** The first instance of each participant. */
  readonly services: Readonly<Record<ParticipantName, ServiceProcess>>;
  readonly acceptors: readonly ServiceProcess[];
  readonly storefront: ServiceProcess | null;
  readonly tokens: Readonly<Record<'submit' | 'read' | 'operate', string>>;
  readonly pools: Readonly<Record<DatabaseName, Pool>>;
  /** Databases of the sites that are nothing but acceptors, by their name. */
  readonly acceptorPools: Readonly<Record<string, Pool>>;
  readonly topicPrefix: string;
  private readonly dataDir: string;

  private constructor(members: Members, databases: Databases, tokens: Cluster['tokens'], id: string, dataDir: string) {
    Object.assign(this, members);
    const { orders, payments, inventory } = members.participants;
    this.services = { orders: orders[0]!, payments: payments[0]!, inventory: inventory[0]! };
    this.tokens = tokens;
    this.pools = databases.pools;
    this.acceptorPools = databases.acceptorPools;
    this.topicPrefix = id;
    this.dataDir = dataDir;
  }

  static async start(options: ClusterOptions): Promise<Cluster> {
    const id = `t${randomBytes(4).toString('hex')}`;
    const dataDir = fs.mkdtempSync(path.join(os.tmpdir(), 'concordat-cluster-'));
    const databases = await makeDatabases(options, id);
    const tokens = writeTokens(path.join(dataDir, 'tokens.json'));
    const cluster = new Cluster(await makeMembers(options, databases, id, dataDir), databases, tokens, id, dataDir);
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
    return [...this.coordinators, ...Object.values(this.participants).flat(), ...this.acceptors, ...(this.storefront === null ? [] : [this.storefront])];
  }

  /** A request with the given role's token; `role: null` sends none. */
  async call(method: string, pathAndQuery: string, options: CallOptions = {}): Promise<{ status: number; headers: Headers; body: any }> {
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

  /** What the tables say now. */
  check(answers: ReadonlyMap<Txid, TransactionOutcome> = new Map()): Promise<InvariantReport> {
    return checkInvariants(this.pools, { answers, acceptors: this.acceptorPools });
  }

  /** Waits until nothing is on its way any more, then checks all invariants; throws what is broken after `timeoutMs`. */
  async audit(answers: ReadonlyMap<Txid, TransactionOutcome> = new Map(), timeoutMs = 60_000): Promise<InvariantReport> {
    let report: InvariantReport | undefined;
    await eventually('all invariants hold', async () => {
      report = await this.check(answers);
      if (!report.ok) throw new Error(JSON.stringify(report.checks.filter((c) => !c.ok), null, 1));
    }, timeoutMs);
    return report!;
  }

  /** Logs of every process, for a failing test. */
  logs(): string {
    return this.processes().map((p) => `--- ${p.name} ${p.url}\n${p.output.slice(-6000)}`).join('\n');
  }

  /** `now` does not wait for anybody to leave in good order. */
  async stop(now = false): Promise<void> {
    await Promise.all(this.processes().map((p) => (now ? p.kill9() : p.stop())));
    await Promise.all([...Object.values(this.pools), ...Object.values(this.acceptorPools)].map((pool) => pool.end()));
    fs.rmSync(this.dataDir, { recursive: true, force: true });
  }

  /** Of the coordinators that run. */
  async participantsKnown(): Promise<void> {
    await eventually('every coordinator lists the three participants', async () => {
      for (const coordinator of this.coordinators.filter((c) => c.alive)) {
        const { body } = await this.call('GET', '/v1/participants', { url: coordinator.url, role: 'read' });
        const names = JSON.stringify(body);
        for (const name of PARTICIPANTS) if (!names.includes(`"${name}"`)) throw new Error(`${name} not announced: ${names}`);
      }
    });
  }
}

interface Databases {
  readonly urls: Readonly<Record<string, string>>;
  readonly pools: Readonly<Record<DatabaseName, Pool>>;
  readonly acceptorPools: Readonly<Record<string, Pool>>;
}

async function makeDatabases({ adminUrl, adminUrls = {}, acceptors = [] }: ClusterOptions, id: string): Promise<Databases> {
  const make = async (name: string, role: DatabaseRole): Promise<readonly [string, string, Pool]> => {
    const url = databaseUrl(adminUrls[name as DatabaseName] ?? adminUrl, `${id}_${name.replaceAll('-', '_')}`);
    await migrate(url, role);
    return [name, url, createPool(url, { max: 2, applicationName: 'checker', onError: () => undefined })];
  };
  const services = await Promise.all(DATABASES.map((name) => make(name, name)));
  const sites = await Promise.all(acceptors.map((name) => make(name, 'participant')));
  const poolsOf = (made: typeof services): Readonly<Record<string, Pool>> => Object.fromEntries(made.map(([name, , pool]) => [name, pool]));
  const pools = poolsOf(services) as Readonly<Record<DatabaseName, Pool>>;
  await Promise.all([seedShop('payments', (sql) => pools.payments.query(sql)), seedShop('inventory', (sql) => pools.inventory.query(sql))]);
  return { urls: Object.fromEntries([...services, ...sites].map(([name, url]) => [name, url])), pools, acceptorPools: poolsOf(sites) };
}

async function makeMembers(options: ClusterOptions, { urls }: Databases, id: string, dataDir: string): Promise<Members> {
  const { coordinators: coordinatorCount = 1, instances = 1, acceptors = [], crashPoints = false, records } = options;
  const ports = await freePorts(coordinatorCount + PARTICIPANTS.length * instances + acceptors.length + 1);
  const at = (port: number): string => `http://127.0.0.1:${port}`;
  const take = (): number => ports.shift()!;
  const storefrontPort = take();
  const coordinatorPorts = Array.from({ length: coordinatorCount }, take);
  const participantPorts = Object.fromEntries(PARTICIPANTS.map((name) => [name, Array.from({ length: instances }, take)])) as Record<ParticipantName, number[]>;
  const base: NodeJS.ProcessEnv = {
    PATH: process.env.PATH, HOME: process.env.HOME, NODE_ENV: crashPoints ? 'test' : 'production', LOG_LEVEL: 'warn',
    CONCORDAT_DATA_DIR: dataDir, KAFKA_BROKERS: options.brokers, KAFKA_TOPIC_PREFIX: id, ...(process.env.KAFKA_CLIENT === undefined ? {} : { KAFKA_CLIENT: process.env.KAFKA_CLIENT }),
    ...Object.fromEntries(DATABASES.map((name) => [`${name.toUpperCase()}_DATABASE_URL`, urls[name]])),
    ...Object.fromEntries(PARTICIPANTS.map((name) => [`${name.toUpperCase()}_URL`, at(participantPorts[name][0]!)])),
    COORDINATOR_URL: at(coordinatorPorts[0]!), STOREFRONT_PORT: String(storefrontPort),
    ...options.env,
  };
  const member = (app: string, instance: string, port: number, env: NodeJS.ProcessEnv): ServiceProcess => new ServiceProcess({
    name: app, instance, url: at(port), records, crashFile: crashPoints ? path.join(dataDir, `${instance}.crash-point`) : null, env: { ...base, INSTANCE_ID: instance, ...env },
  });
  return {
    coordinators: coordinatorPorts.map((port, i) => member('coordinator', `coordinator-${i}`, port, { COORDINATOR_PORT: String(port) })),
    participants: Object.fromEntries(PARTICIPANTS.map((name) => [
      name, participantPorts[name].map((port, i) => member(name, `${name}-${i}`, port, { [`${name.toUpperCase()}_PORT`]: String(port) })),
    ])) as unknown as Members['participants'],
    acceptors: acceptors.map((name) => {
      const port = take();
      return member('acceptor', name, port, { ACCEPTOR_NAME: name, ACCEPTOR_DATABASE_URL: urls[name], ACCEPTOR_PORT: String(port) });
    }),
    storefront: options.storefront === true ? member('storefront', 'storefront-0', storefrontPort, {}) : null,
  };
}

function databaseUrl(adminUrl: string, database: string): string {
  const url = new URL(adminUrl);
  url.pathname = `/${database}`;
  return url.href;
}

/** Ports that were free a moment ago, all different. */
export async function freePorts(count: number): Promise<number[]> {
  const ports: number[] = [];
  while (ports.length < count) ports.push(await choosePort(undefined, ports));
  return ports;
}
