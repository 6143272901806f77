import type { DataDir } from '../stack/data-dir.ts';
import { type Kafka, startKafka } from '../stack/kafka.ts';
import { type Postgres, startPostgres } from '../stack/postgres.ts';
import { isSetupError, type SetupErrorCode } from '../stack/setup-error.ts';
import { prepareDatabases } from './databases.ts';
import { type Database, DATABASES, type Settings } from './settings.ts';

/** Wanted for the embedded servers, so that tools find them again; when taken, any free one. */
const PREFERRED_PORTS = { postgres: 15_432, kafka: { client: 19_092, controller: 19_093 } };

const KAFKA_CANNOT_BE_HAD: readonly SetupErrorCode[] = ['JAVA_MISSING', 'MAVEN_MISSING', 'KAFKA_DOWNLOAD_FAILED'];

export interface Servers {
  readonly databaseUrls: Readonly<Record<Database, string>>;
  /** Null: the in-process bus. */
  readonly brokers: string | null;
  /** For people, one line each. */
  readonly summary: readonly string[];
  stop(): Promise<void>;
}

/** The databases and brokers that are given, and embedded ones for what is not. */
export async function startServers(settings: Settings, dataDir: DataDir, log: (line: string) => void): Promise<Servers> {
  const [postgres, kafka] = await Promise.allSettled([embeddedPostgres(settings, dataDir, log), embeddedKafka(settings, dataDir, log)]);
  const stop = async (): Promise<void> => {
    await Promise.all([postgres, kafka].map(async (server) => { if (server.status === 'fulfilled') await server.value?.stop(); }));
  };
  if (postgres.status === 'rejected' || kafka.status === 'rejected') {
    await stop();
    throw postgres.status === 'rejected' ? postgres.reason : (kafka as PromiseRejectedResult).reason;
  }
  const brokers = settings.transport === 'memory' ? null : (settings.brokers ?? kafka.value?.brokers ?? null);
  return {
    databaseUrls: Object.fromEntries(DATABASES.map((name) => [name, settings.databaseUrls[name] ?? postgres.value!.url(name)])) as Record<Database, string>,
    brokers,
    summary: [
      postgres.value === null ? 'PostgreSQL: the servers of the *_DATABASE_URL variables' : `PostgreSQL 18 (embedded): ${new URL(postgres.value.adminUrl).host}, password in ${dataDir.file('postgres.password')}`,
      brokers === null ? 'no Kafka: in-process bus' : kafka.value === null ? `Kafka: ${brokers}` : `Apache Kafka 4.1 (embedded): ${brokers}`,
    ],
    stop,
  };
}

export interface OwnServers {
  readonly postgres: Postgres;
  readonly kafka: Kafka;
  readonly databaseUrls: Readonly<Record<Database, string>>;
}

/** Embedded servers on any ports, with databases ready to use. @param cleanup is given what has to be undone, also when this fails midway */
export async function startOwnServers(dataDir: DataDir, cleanup: (() => Promise<void>)[], log: (line: string) => void): Promise<OwnServers> {
  const postgres = await startPostgres(dataDir, { log });
  cleanup.push(() => postgres.stop());
  const kafka = await startKafka(dataDir, { isLasting: true, log });
  cleanup.push(() => kafka.stop());
  const databaseUrls = Object.fromEntries(DATABASES.map((name) => [name, postgres.url(name)])) as Record<Database, string>;
  await prepareDatabases(databaseUrls, log);
  return { postgres, kafka, databaseUrls };
}

async function embeddedPostgres(settings: Settings, dataDir: DataDir, log: (line: string) => void): Promise<Postgres | null> {
  if (DATABASES.every((name) => settings.databaseUrls[name] !== undefined)) return null;
  const postgres = await startPostgres(dataDir, { port: PREFERRED_PORTS.postgres, log });
  log('PostgreSQL is up');
  return postgres;
}

async function embeddedKafka(settings: Settings, dataDir: DataDir, log: (line: string) => void): Promise<Kafka | null> {
  if (settings.transport === 'memory' || settings.brokers !== null) return null;
  try {
    const kafka = await startKafka(dataDir, { ports: PREFERRED_PORTS.kafka, isLasting: true, log });
    log('Kafka is up');
    return kafka;
  } catch (error) {
    // Asked for by name, it must be there.
    if (settings.transport === 'kafka' || !isSetupError(error) || !KAFKA_CANNOT_BE_HAD.includes(error.code)) throw error;
    log(`${error.message} Going on without Kafka: all services in one process, over an in-process bus.`);
    return null;
  }
}
