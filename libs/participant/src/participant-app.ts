import { type DynamicModule, Module, type Type } from '@nestjs/common';
import { TypeOrmModule } from '@nestjs/typeorm';
import { InboxStrategy } from '#libs/kafka';
import { type DatabaseRole, isTransientDatabaseError, migrate } from '#libs/postgres';
import type { Transport } from '#libs/runtime';
import { createHttpApp, listenHttp, type Logger, type RunningApp, type StartApp } from '#libs/service';
import type { DataSourceOptions } from 'typeorm';
import { type AppSettings, openTransport, readSettings } from './app-settings.js';
import { ParticipantModule } from './participant.module.js';

export interface ParticipantAppOptions {
  /** The participant's name; its variables are `<NAME>_DATABASE_URL` and `<NAME>_PORT`. */
  readonly name: string;
  /** Which migrations its database gets. Default `participant`: the branch table alone. */
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

/**
 * A service from its environment: HTTP (controllers, health, metrics) and the inbox in one Nest application. Its database is
 * brought to the newest schema first. Close finishes the open batches, then leaves the consumer group, then frees the database.
 */
export function participantApp(options: ParticipantAppOptions): StartApp {
  return async (env, deps = {}) => {
    const settings = readSettings(options.name, options.defaultPort, env);
    const { transport, close } = await openTransport(settings, env, deps);
    try {
      await untilReachable(() => migrate(settings.databaseUrl, options.databaseRole ?? 'participant'), settings.logger);
      return await startApp(options, settings, transport, close);
    } catch (error) {
      await close();
      throw error;
    }
  };
}

async function startApp(options: ParticipantAppOptions, settings: AppSettings, transport: Transport, closeTransport: () => Promise<void>): Promise<RunningApp> {
  const { name, logger, auth } = settings;
  const app = await createHttpApp(ServiceModule.forRoot(options, settings, transport), { name, auth, logger });
  try {
    app.connectMicroservice({ strategy: new InboxStrategy({ transport, inbox: { role: 'participant', name } }) });
    const url = await listenHttp(app, settings);
    await app.startAllMicroservices();
    logger.info({ url }, `${name} is listening`);
    return { name, url, close: async () => { await app.close(); await closeTransport(); } };
  } catch (error) {
    await app.close();
    throw error;
  }
}

@Module({})
class ServiceModule {
  static forRoot({ version, module }: ParticipantAppOptions, settings: AppSettings, transport: Transport): DynamicModule {
    const { name, instance, partitions, lanes, inquireAfterMs } = settings;
    return {
      module: ServiceModule,
      imports: [
        TypeOrmModule.forRoot({ ...dataSourceOptions(settings), autoLoadEntities: true, retryAttempts: DATABASE_WAIT_MS / DATABASE_RETRY_MS, retryDelay: DATABASE_RETRY_MS }),
        ParticipantModule.forRoot({ name, instance, version, transport, partitions, lanes, inquireAfterMs }),
        module,
      ],
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
  const deadline = Date.now() + DATABASE_WAIT_MS;
  for (let attempt = 1; ; attempt++) {
    try {
      await work();
      return;
    } catch (error) {
      if (!isTransientDatabaseError(error) || Date.now() > deadline) throw error;
      if (attempt === 1) logger.warn({ err: error }, 'the database does not answer yet; waiting');
    }
    await new Promise((resolve) => setTimeout(resolve, DATABASE_RETRY_MS));
  }
}
