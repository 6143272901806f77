import { type DynamicModule, Module, type Type } from '@nestjs/common';
import { TypeOrmModule } from '@nestjs/typeorm';
import { InboxStrategy } from '#libs/kafka';
import { type DatabaseRole, isTransientDatabaseError, migrate } from '#libs/postgres';
import type { Transport } from '#libs/runtime';
import { type AppDeps, checkAddress, createHttpApp, listenHttp, type Logger, Registry, type RunningApp, type StartApp } from '#libs/service';
import type { DataSourceOptions } from 'typeorm';
import { type AppSettings, type OpenTransport, openTransport, readAcceptorSettings, readSettings } from './app-settings.js';
import { BranchesController } from './branches.controller.js';
import { BranchHousekeeping, checkBranchRetention, rowsKeptMs } from './housekeeping.js';
import { ParticipantModule } from './participant.module.js';

export interface ParticipantAppOptions {
  /** The participant's name; its variables are `<NAME>_DATABASE_URL` and `<NAME>_PORT`. */
  readonly name: string;
  /** Which migrations its database gets. Default `participant`: the SDK's tables alone. */
  readonly databaseRole?: DatabaseRole;
  readonly version: string;
  readonly defaultPort: number;
  /** Holds the decorated providers, the entities and the controllers. */
  readonly module: Type;
}

/** How long a start waits for a database that does not answer. */
const DATABASE_WAIT_MS = 30_000;
const DATABASE_RETRY_MS = 500;
const STATEMENT_TIMEOUT_MS = 30_000;

type PostgresOptions = Extract<DataSourceOptions, { type: 'postgres' }>;

export type AcceptorAppOptions = Pick<ParticipantAppOptions, 'version' | 'defaultPort'>;

/** What a process hosts: a participant with its module, or an acceptor and nothing else. */
interface Site {
  readonly settings: AppSettings;
  readonly databaseRole: DatabaseRole;
  readonly version: string;
  readonly module: Type | null;
}

/**
 * A service from its environment: HTTP (controllers, branches in doubt, health, metrics) and the inbox in one Nest application. Its
 * database is brought to the newest schema first. Close finishes the open batches, then leaves the consumer group, then frees the database.
 */
export function participantApp({ name, databaseRole = 'participant', version, defaultPort, module }: ParticipantAppOptions): StartApp {
  return async (env, deps = {}) => startSite({ settings: readSettings(name, defaultPort, env), databaseRole, version, module }, env, deps);
}

/** A site that hosts an acceptor of Paxos Commit in a database of its own, and takes part in no transaction. */
export function acceptorApp({ version, defaultPort }: AcceptorAppOptions): StartApp {
  return async (env, deps = {}) => startSite({ settings: readAcceptorSettings(defaultPort, env), databaseRole: 'participant', version, module: null }, env, deps);
}

async function startSite(site: Site, env: NodeJS.ProcessEnv, deps: AppDeps): Promise<RunningApp> {
  const { settings, databaseRole } = site;
  await checkAddress(settings);
  const opened = await openTransport(settings, env, deps, site.module === null ? 'acceptor' : 'participant');
  try {
    await checkInbox(settings, opened);
    await untilReachable(() => migrate(settings.databaseUrl, databaseRole), settings.logger);
    return await startApp(site, opened);
  } catch (error) {
    await opened.close();
    throw error;
  }
}

/** @throws ConfigError */
async function checkInbox({ retention, logger }: AppSettings, opened: OpenTransport): Promise<void> {
  const inbox = await opened.retention().catch((error: unknown) => {
    logger.warn({ err: error }, 'could not ask how long the inbox is kept: that branch rows are kept for longer is not checked');
    return null;
  });
  checkBranchRetention(retention, inbox);
}

async function startApp(site: Site, { transport, close }: OpenTransport): Promise<RunningApp> {
  const { name, logger, auth } = site.settings;
  const app = await createHttpApp(ServiceModule.forRoot(site, transport), { name, auth, logger });
  const housekeeping = new BranchHousekeeping(site.settings, app.get(Registry), logger);
  const closeApp = async (): Promise<void> => { await Promise.all([app.close(), housekeeping.stop()]); };
  try {
    app.connectMicroservice({ strategy: new InboxStrategy({ transport, inbox: { role: 'participant', name } }) });
    const url = await listenHttp(app, site.settings);
    // Before the first messages: their rows then find their partition.
    housekeeping.start();
    await app.startAllMicroservices();
    logger.info({ url }, `${name} is listening`);
    return { name, url, close: async () => { await closeApp(); await close(); } };
  } catch (error) {
    await closeApp();
    throw error;
  }
}

@Module({})
class ServiceModule {
  static forRoot({ settings, version, module }: Site, transport: Transport): DynamicModule {
    const { name, instance, partitions, lanes, site, retention } = settings;
    return {
      module: ServiceModule,
      imports: [
        TypeOrmModule.forRoot({ ...dataSourceOptions(settings), autoLoadEntities: true, retryAttempts: DATABASE_WAIT_MS / DATABASE_RETRY_MS, retryDelay: DATABASE_RETRY_MS }),
        ParticipantModule.forRoot({ name, instance, version, transport, partitions, lanes, site: { ...site, rowsKeptMs: rowsKeptMs(retention) }, acceptorOnly: module === null }),
        ...(module === null ? [] : [module]),
      ],
      controllers: [BranchesController],
    };
  }
}

/** Bounded in every direction: a database that goes silent must make queries fail, so that they are tried again elsewhere or later. */
function dataSourceOptions({ name, databaseUrl, poolSize, logger }: AppSettings): PostgresOptions {
  return {
    type: 'postgres', url: databaseUrl, poolSize, applicationName: `concordat-${name}`, synchronize: false, logging: false, installExtensions: false,
    connectTimeoutMS: 5_000,
    poolErrorHandler: (error: unknown) => logger.warn({ err: error }, 'an idle database connection broke; the pool replaces it'),
    extra: {
      statement_timeout: STATEMENT_TIMEOUT_MS, query_timeout: STATEMENT_TIMEOUT_MS + 5_000, idle_in_transaction_session_timeout: 2 * STATEMENT_TIMEOUT_MS,
      keepAlive: true, keepAliveInitialDelayMillis: 10_000,
      // What the branch store sends without waiting for its answer travels at once.
      pipeline: true,
    },
  };
}

/** A service may be started before its database, or while that recovers. */
async function untilReachable(work: () => Promise<unknown>, logger: Logger): Promise<void> {
  const deadline = performance.now() + DATABASE_WAIT_MS;
  for (let attempt = 1; ; attempt++) {
    try {
      await work();
      return;
    } catch (error) {
      if (!isTransientDatabaseError(error) || performance.now() > deadline) throw error;
      if (attempt === 1) logger.warn({ err: error }, 'the database does not answer yet; waiting');
    }
    await new Promise((resolve) => setTimeout(resolve, DATABASE_RETRY_MS));
  }
}
