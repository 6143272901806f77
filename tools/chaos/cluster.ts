// The real stack, every process of which reaches its servers through proxies of its own.
import { createPool } from '#libs/postgres';
import type { DataDir } from '../stack/data-dir.ts';
import { type Kafka, type ProxiedListener, startKafka } from '../stack/kafka.ts';
import { choosePort, isPortFree } from '../stack/ports.ts';
import { type Postgres, startPostgres } from '../stack/postgres.ts';
import { type Tokens, writeTokens } from '../stack/tokens.ts';
import { prepareDatabases } from '../start/databases.ts';
import { participantsKnown } from '../start/ready.ts';
import { ServiceProcess, type UnaskedEnd } from '../start/service-process.ts';
import { TcpProxy } from './proxy.ts';
import type { ProcessName, ServerName, ServiceName } from './schedule.ts';

export type DatabaseName = ServiceName;
export type Pools = Readonly<Record<DatabaseName, ReturnType<typeof createPool>>>;
const DATABASES: readonly DatabaseName[] = ['coordinator', 'orders', 'payments', 'inventory'];
export const PARTICIPANTS = ['orders', 'payments', 'inventory'] as const;

export interface ClusterOptions {
  readonly dataDir: DataDir;
  readonly log: (line: string) => void;
  readonly processes: readonly ProcessName[];
  /** Without proxies there are no faults of connections, and no cost of them. */
  readonly proxied: boolean;
  /** Added to every process's environment. */
  readonly env: Readonly<Record<string, string>>;
  readonly onUnaskedEnd: (end: UnaskedEnd) => void;
}

export class ChaosCluster {
  readonly postgres: Postgres;
  readonly kafka: Kafka;
  readonly processes: ReadonlyMap<ProcessName, ServiceProcess>;
  /** Straight to the server, not through a proxy. */
  readonly pools: Pools;
  readonly tokens: Tokens;
  private readonly proxies: ReadonlyMap<string, TcpProxy>;

  private constructor(parts: Pick<ChaosCluster, 'postgres' | 'kafka' | 'processes' | 'pools' | 'tokens'> & { readonly proxies: ReadonlyMap<string, TcpProxy> }) {
    this.postgres = parts.postgres;
    this.kafka = parts.kafka;
    this.processes = parts.processes;
    this.pools = parts.pools;
    this.tokens = parts.tokens;
    this.proxies = parts.proxies;
  }

  /** Servers, databases with their seed, and all processes, ready. @param undo is given what has to be undone, also when this fails midway */
  static async start(options: ClusterOptions, undo: (() => Promise<void>)[]): Promise<ChaosCluster> {
    const { dataDir, log } = options;
    const ways = options.proxied ? await choosePorts(options.processes) : new Map<ProcessName, Way>();
    const [postgres, kafka] = await Promise.all([
      startPostgres(dataDir, { log }).then((server) => { undo.push(() => server.stop()); return server; }),
      startKafka(dataDir, { log, proxied: [...ways.values()].map((way) => way.listener) }).then((server) => { undo.push(() => server.stop()); return server; }),
    ]);
    await prepareDatabases(Object.fromEntries(DATABASES.map((name) => [name, postgres.url(name)])) as Record<DatabaseName, string>, log);
    const pools = Object.fromEntries(DATABASES.map((name) => [name, createPool(postgres.url(name), { max: 3, applicationName: 'chaos', statementTimeoutMs: 60_000 })])) as unknown as Pools;
    undo.push(async () => void (await Promise.allSettled(Object.values(pools).map((pool) => pool.end()))));

    const proxies = new Map<string, TcpProxy>();
    undo.push(async () => void (await Promise.all([...proxies.values()].map((proxy) => proxy.close()))));
    const postgresPort = Number(new URL(postgres.adminUrl).port);
    for (const [name, way] of ways) {
      proxies.set(`${name}/postgres`, await TcpProxy.open(way.postgresPort, { host: '127.0.0.1', port: postgresPort }));
      proxies.set(`${name}/kafka`, await TcpProxy.open(way.listener.advertisedPort, { host: '127.0.0.1', port: way.listener.port }));
    }
    const tokens = writeTokens(dataDir.file('tokens.json'));
    const processes = await makeProcesses(options, { postgres, kafka, ways });
    undo.push(async () => void (await Promise.all([...processes.values()].map((process) => process.kill9()))));
    const cluster = new ChaosCluster({ postgres, kafka, processes, pools, tokens, proxies });
    for (const process of processes.values()) process.start();
    await Promise.all([...processes.values()].map((process) => process.ready()));
    for (const url of cluster.coordinatorUrls) await participantsKnown({ url, submitToken: tokens.submit, readToken: tokens.read }, PARTICIPANTS);
    return cluster;
  }

  get coordinatorUrls(): readonly string[] {
    return [...this.processes.values()].filter((process) => process.service === 'coordinator').map((process) => process.url);
  }

  process(name: ProcessName): ServiceProcess {
    return this.processes.get(name)!;
  }

  proxy(process: ProcessName, server: ServerName): TcpProxy {
    return this.proxies.get(`${process}/${server}`)!;
  }

  /** Undoes every fault: all ways open, all servers and processes there. */
  async heal(): Promise<void> {
    await Promise.all([...this.proxies.values()].map((proxy) => proxy.set({ kind: 'pass' })));
    await Promise.all([this.postgres.start(), this.kafka.start()]);
    for (const process of this.processes.values()) {
      process.resume();
      process.start();
    }
  }
}

/** How one process comes to its servers. */
interface Way {
  readonly postgresPort: number;
  readonly listener: ProxiedListener;
}

/**
 * Below the range from which Linux takes the source ports of connections: a proxy that has stopped listening for a while would not
 * always get such a port back.
 */
async function choosePorts(processes: readonly ProcessName[]): Promise<ReadonlyMap<ProcessName, Way>> {
  const taken = new Set<number>();
  const next = async (): Promise<number> => {
    for (;;) {
      const port = 20_000 + Math.floor(Math.random() * 12_000);
      if (taken.has(port) || !(await isPortFree(port, '127.0.0.1'))) continue;
      taken.add(port);
      return port;
    }
  };
  const ways = new Map<ProcessName, Way>();
  for (const name of processes) {
    ways.set(name, { postgresPort: await next(), listener: { name: name.replaceAll('-', '').toUpperCase(), port: await next(), advertisedPort: await next() } });
  }
  return ways;
}

async function makeProcesses(options: ClusterOptions, servers: { readonly postgres: Postgres; readonly kafka: Kafka; readonly ways: ReadonlyMap<ProcessName, Way> }): Promise<ReadonlyMap<ProcessName, ServiceProcess>> {
  const { dataDir, onUnaskedEnd } = options;
  const ports: number[] = [];
  const processes = new Map<ProcessName, ServiceProcess>();
  for (const name of options.processes) {
    const service = name.slice(0, -2) as ServiceName;
    const port = await choosePort(undefined, ports);
    ports.push(port);
    const way = servers.ways.get(name);
    const database = new URL(servers.postgres.url(service));
    if (way !== undefined) database.port = String(way.postgresPort);
    const variables = service.toUpperCase();
    processes.set(name, new ServiceProcess({
      name, service, dataDir, onUnaskedEnd, url: `http://127.0.0.1:${port}`,
      env: {
        PATH: process.env.PATH, HOME: process.env.HOME, NODE_ENV: 'production', LOG_LEVEL: 'info', TRANSPORT: 'kafka',
        CONCORDAT_DATA_DIR: dataDir.path, INSTANCE_ID: name, KAFKA_BROKERS: way === undefined ? servers.kafka.brokers : `127.0.0.1:${way.listener.advertisedPort}`,
        [`${variables}_DATABASE_URL`]: database.href, [`${variables}_PORT`]: String(port),
        ...(process.env.KAFKA_CLIENT === undefined ? {} : { KAFKA_CLIENT: process.env.KAFKA_CLIENT }), ...options.env,
      },
    }));
  }
  return processes;
}
