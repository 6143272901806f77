import { randomBytes } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import type { DataDir } from './data-dir.ts';
import { findJava, type Java, JAVA_HINT } from './java.ts';
import { kafkaJars } from './kafka-jars.ts';
import { choosePort } from './ports.ts';
import { runCommand } from './run-command.ts';
import { ServerProcess } from './server-process.ts';
import { SetupError } from './setup-error.ts';

export interface Kafka {
  /** `host:port` */
  readonly brokers: string;
  readonly pid: number;
  stop(): Promise<void>;
  /** On the same ports as before. */
  start(): Promise<void>;
  kill9(): Promise<void>;
}

interface Ports {
  readonly client: number;
  readonly controller: number;
}

/** One more way to the broker. Its clients are told to come back to `advertisedPort`: of a proxy in front of `port`. */
export interface ProxiedListener {
  /** Capital letters and digits. */
  readonly name: string;
  readonly port: number;
  readonly advertisedPort: number;
}

/** One broker that is its own controller (KRaft). The short session lets it return 4 s after a kill -9, instead of 12. */
function properties(logDir: string, ports: Ports, proxied: readonly ProxiedListener[]): string {
  return Object.entries({
    'process.roles': 'broker,controller',
    'node.id': 1,
    'controller.quorum.voters': `1@127.0.0.1:${ports.controller}`,
    listeners: [`PLAINTEXT://127.0.0.1:${ports.client}`, `CONTROLLER://127.0.0.1:${ports.controller}`, ...proxied.map((l) => `${l.name}://127.0.0.1:${l.port}`)].join(','),
    'advertised.listeners': [`PLAINTEXT://127.0.0.1:${ports.client}`, ...proxied.map((l) => `${l.name}://127.0.0.1:${l.advertisedPort}`)].join(','),
    'inter.broker.listener.name': 'PLAINTEXT',
    'controller.listener.names': 'CONTROLLER',
    'listener.security.protocol.map': ['CONTROLLER', 'PLAINTEXT', ...proxied.map((l) => l.name)].map((name) => `${name}:PLAINTEXT`).join(','),
    'log.dirs': logDir,
    'offsets.topic.replication.factor': 1,
    'transaction.state.log.replication.factor': 1,
    'transaction.state.log.min.isr': 1,
    'share.coordinator.state.topic.replication.factor': 1,
    'share.coordinator.state.topic.min.isr': 1,
    'group.initial.rebalance.delay.ms': 0,
    'group.min.session.timeout.ms': 1000,
    'broker.session.timeout.ms': 1500,
    'broker.heartbeat.interval.ms': 500,
    'offsets.topic.num.partitions': 1,
    'transaction.state.log.num.partitions': 1,
    'log.cleaner.dedupe.buffer.size': 8_388_608,
    // Every thread more is one more to be woken up on the way of a request: with 3 and 8, as by default, small ones cost 1.4 times as much CPU.
    'num.network.threads': 1,
    'num.io.threads': 1,
    // All groups are in the one partition of the offsets topic, so only one thread ever has work; the others would only look for it.
    'group.coordinator.threads': 1,
    // No record of nothing every 500 ms, which is for those who watch how far followers are behind.
    'metadata.max.idle.interval.ms': 0,
    'auto.create.topics.enable': false,
  }).map(([name, value]) => `${name}=${value}\n`).join('');
}

export interface KafkaStart {
  readonly ports?: Partial<Ports>;
  readonly proxied?: readonly ProxiedListener[];
  /** It is to run for a while: compiled fully, it takes a third less CPU once it is warm, and 1.5 s of CPU more to start. */
  readonly isLasting?: boolean;
  readonly log: (line: string) => void;
}

/** A Kafka broker on the data folder. @throws SetupError JAVA_MISSING, MAVEN_MISSING, KAFKA_DOWNLOAD_FAILED, SERVER_FAILED */
export async function startKafka(dataDir: DataDir, options: KafkaStart): Promise<Kafka> {
  const java = findJava();
  if (!java.ok) throw new SetupError('JAVA_MISSING', `${java.problem}; Apache Kafka needs Java 17 or later: install it (${JAVA_HINT}), or set KAFKA_BROKERS to a running cluster.`);
  const broker = new Broker(dataDir, java.value, await kafkaJars(options.log), options);
  await broker.format(options.log);
  const { ports, server } = await broker.startOnFreePorts(options.ports ?? {});
  return {
    brokers: `127.0.0.1:${ports.client}`,
    get pid() { return server.pid; },
    async stop() {
      if (await server.stop()) broker.keepArchive();
    },
    start: () => server.start(),
    kill9: () => server.kill9(),
  };
}

class Broker {
  private readonly dataDir: DataDir;
  private readonly java: Java;
  private readonly classPath: string;
  private readonly archive: string;
  private readonly archiveDraft: string;
  private readonly logDir: string;
  private readonly config: string;
  private readonly proxied: readonly ProxiedListener[];
  private readonly isLasting: boolean;

  constructor(dataDir: DataDir, java: Java, jars: string, { proxied = [], isLasting = false }: KafkaStart) {
    this.dataDir = dataDir;
    this.proxied = proxied;
    this.isLasting = isLasting;
    this.java = java;
    // In a fixed order: the class archive fits only the very same class path.
    this.classPath = fs.readdirSync(jars).filter((name) => name.endsWith('.jar')).sort().map((name) => path.join(jars, name)).join(path.delimiter);
    this.archive = path.join(jars, `java-${java.version}.jsa`);
    this.archiveDraft = dataDir.file('kafka-classes.jsa');
    this.logDir = dataDir.file('kafka');
    this.config = dataDir.file('kafka.properties');
  }

  /** The id file is written last: without it nothing in the folder has ever been used. */
  async format(log: (line: string) => void): Promise<void> {
    const idFile = this.dataDir.file('kafka.cluster-id');
    if (fs.existsSync(idFile)) return;
    log('Kafka: formatting its storage');
    fs.rmSync(this.logDir, { recursive: true, force: true });
    const id = clusterId();
    fs.writeFileSync(this.config, properties(this.logDir, { client: 9092, controller: 9093 }, []));
    const args = ['-XX:+UseSerialGC', '-XX:TieredStopAtLevel=1', '-cp', this.classPath, 'kafka.tools.StorageTool', 'format', '-t', id, '-c', this.config];
    const { code, output } = await runCommand(this.java.command, args);
    if (code !== 0) throw new SetupError('SERVER_FAILED', `Kafka: formatting its storage failed (exit code ${code}):\n${output.trim()}`);
    fs.writeFileSync(idFile, id);
  }

  /** Ports that were free a moment ago may be taken now: then others. */
  async startOnFreePorts(preferred: Partial<Ports>): Promise<{ readonly ports: Ports; readonly server: ServerProcess }> {
    for (let attempt = 1; ; attempt += 1) {
      const wanted = attempt === 1 ? preferred : {};
      const client = await choosePort(wanted.client);
      const ports = { client, controller: await choosePort(wanted.controller, [client]) };
      fs.writeFileSync(this.config, properties(this.logDir, ports, this.proxied));
      const server = this.server();
      try {
        await server.start();
        return { ports, server };
      } catch (error) {
        if (attempt >= 3 || !/Address already in use|SocketServer failed to bind/.test((error as Error).message)) throw error;
      }
    }
  }

  private server(): ServerProcess {
    return new ServerProcess({
      name: 'kafka',
      logFile: this.dataDir.file('logs', 'kafka.log'),
      records: this.dataDir.records,
      command: () => ({
        command: this.java.command,
        args: [
          '-Xms128m', '-Xmx256m', '-XX:+UseSerialGC', '-XX:-UsePerfData', ...(this.isLasting ? [] : ['-XX:TieredStopAtLevel=1']), ...this.archiveFlags(),
          '-Dorg.slf4j.simpleLogger.defaultLogLevel=warn', '-Dorg.slf4j.simpleLogger.log.kafka.server.KafkaRaftServer=info', '-Dorg.slf4j.simpleLogger.showDateTime=true',
          '-Dorg.slf4j.simpleLogger.dateTimeFormat=yyyy-MM-dd HH:mm:ss.SSS', '-cp', this.classPath, 'kafka.Kafka', this.config,
        ],
        cwd: this.dataDir.path,
      }),
      isReady: (_pid, logged) => logged.includes('Kafka Server started'),
      stopSignal: 'SIGTERM',
      stopGraceMs: 20_000,
      stopOrder: 2,
      startLimitMs: 120_000,
    });
  }

  /** With an archive of its loaded classes the JVM starts in half the time; the first clean stop writes it. */
  private archiveFlags(): readonly string[] {
    if (fs.existsSync(this.archive)) return [`-XX:SharedArchiveFile=${this.archive}`, ...QUIET_ARCHIVE];
    fs.rmSync(this.archiveDraft, { force: true });
    return [`-XX:ArchiveClassesAtExit=${this.archiveDraft}`, ...QUIET_ARCHIVE];
  }

  /** Called after a clean stop only: an archive that was cut off must never be used. */
  keepArchive(): void {
    if (!fs.existsSync(this.archiveDraft)) return;
    const copy = `${this.archive}.${process.pid}`;
    fs.copyFileSync(this.archiveDraft, copy);
    fs.renameSync(copy, this.archive);
    fs.rmSync(this.archiveDraft, { force: true });
  }
}

const QUIET_ARCHIVE = ['-Xlog:cds=off', '-Xlog:cds+dynamic=off'];

function clusterId(): string {
  const id = randomBytes(16).toString('base64url');
  // Kafka takes a leading dash for an option.
  return id.startsWith('-') ? clusterId() : id;
}
