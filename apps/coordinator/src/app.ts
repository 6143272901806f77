import { setTimeout as sleep } from 'node:timers/promises';
import { type MicroserviceOptions } from '@nestjs/microservices';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import { InboxStrategy, KafkaTransport } from '#libs/kafka';
import { createPool, type Pool } from '#libs/postgres';
import { CoordinatorDriver, type Transport } from '#libs/runtime';
import { checkAddress, createHttpApp, createLogger, HealthRegistry, listenHttp, type Logger, setupOpenApi, type StartApp } from '#libs/service';
import type { Resources } from './composition/resources.js';
import { configFromEnv, type CoordinatorConfig } from './config.js';
import { CoordinatorModule } from './coordinator.module.js';
import { EventHub } from './events/event-hub.js';
import { RemoteEvents } from './events/remote-events.js';
import { Housekeeping } from './housekeeping.js';
import { mapError } from './http/map-error.js';
import { shedEarly } from './http/shed.js';
import { Membership } from './membership.js';
import { CoordinatorMetrics } from './metrics/coordinator-metrics.js';
import { OpenCounts } from './metrics/open-counts.js';
import { TransactionLookup } from './reads/transaction-lookup.js';
import { ParticipantDirectory } from './submit/participant-directory.js';
import { Submission } from './submit/submission.js';
import { ALERTS, type MaybeAlerts, type Pools } from './tokens.js';

const NAME = 'coordinator';
const STOP_LIMIT_MS = 3_000;
/** Whoever has not read its answer this long after the last wait has ended is not waited for. */
const READ_MS = 2_000;
const BATCH_ROUTE = '/v1/transactions::batch';
/** What people and programs ask is answered from few rows: a statement that takes longer has met a fault. */
const READ_STATEMENT_MS = 4_000;
const MAX_READ_CONNECTIONS = 4;

/** Starts the coordinator: HTTP API, shards by the inbox's consumer group, driver. */
export const startCoordinator: StartApp = async (env, deps = {}) => {
  const logger = createLogger(NAME, env);
  const config = configFromEnv(env, logger, deps.transport !== undefined);
  await checkAddress(addressOf(config));
  const cleanUp: (() => Promise<unknown>)[] = [];
  const freeAll = async (): Promise<void> => { for (const free of cleanUp.splice(0).reverse()) await free(); };
  try {
    const pools = createPools(config, logger);
    cleanUp.push(() => Promise.all([pools.read.end(), pools.write.end()]));
    const transport = deps.transport ?? await KafkaTransport.create(config.kafka!);
    if (deps.transport === undefined) cleanUp.push(() => transport.close());
    const app = await createApp({ config, pools, transport }, logger);
    cleanUp.push(() => app.close());
    const url = await serve(app, { config, pools, transport });
    logger.info({ url }, `listening on ${url}`);
    return { name: NAME, url, close: async () => { await drain(app, config); await freeAll(); } };
  } catch (error) {
    await freeAll().catch(() => undefined);
    throw error;
  }
};

function createPools({ databaseUrl, databaseConnections, instance }: CoordinatorConfig, logger: Logger): Pools {
  const read = Math.max(1, Math.min(MAX_READ_CONNECTIONS, Math.floor(databaseConnections * 0.4)));
  const common = { applicationName: `concordat-${NAME}/${instance}`, onError: (error: Error) => logger.warn({ err: error }, 'a database connection broke') };
  return {
    write: createPool(databaseUrl, { ...common, max: databaseConnections - read }),
    read: createPool(databaseUrl, { ...common, max: read, statementTimeoutMs: READ_STATEMENT_MS }),
  };
}

async function createApp(resources: Resources, logger: Logger): Promise<NestFastifyApplication> {
  const { auth, limits } = resources.config;
  const app = await createHttpApp(CoordinatorModule.forRoot(resources), {
    name: NAME, logger, auth, mapError, bodyLimitBytes: limits.bodyBytes, routeBodyLimits: { [BATCH_ROUTE]: limits.batchBodyBytes },
  });
  const driver = app.get(CoordinatorDriver);
  shedEarly(app, (participants) => driver.overload(participants));
  setupOpenApi(app, { title: 'Concordat coordinator', description: 'Runs transactions that span several services: in all of them, or in none.', version: '1' });
  return app;
}

async function serve(app: NestFastifyApplication, { config, pools, transport }: Resources): Promise<string> {
  registerChecks(app, pools.read, transport);
  await app.get(ParticipantDirectory).start();
  app.get(RemoteEvents).start();
  app.get(CoordinatorMetrics).observeOpen(app.get(OpenCounts));
  app.get<MaybeAlerts>(ALERTS)?.start();
  app.get(Housekeeping).start();
  app.connectMicroservice<MicroserviceOptions>({ strategy: new InboxStrategy({ transport, inbox: { role: 'coordinator' } }) });
  const url = await listenHttp(app, addressOf(config));
  await app.startAllMicroservices();
  return url;
}

function addressOf({ host, port }: CoordinatorConfig): Parameters<typeof checkAddress>[0] {
  return { host, port, portVariable: 'COORDINATOR_PORT' };
}

function registerChecks(app: NestFastifyApplication, pool: Pool, transport: Transport): void {
  const health = app.get(HealthRegistry);
  const [membership, submission] = [app.get(Membership), app.get(Submission)];
  health.register('database', async () => { await pool.query('SELECT 1'); return { ok: true }; });
  health.register('broker', () => (transport.healthy() ? { ok: true } : { ok: false, detail: 'out of reach' }));
  health.register('group', () => (membership.joined ? { ok: true } : { ok: false, detail: 'no shards have been assigned yet' }));
  health.register('accepting', () => (submission.accepting ? { ok: true } : { ok: false, detail: 'stopping' }));
}

/** Refuses new work, lets those who wait have their answers, sends what is owed. The group is left only after that. */
async function drain(app: NestFastifyApplication, config: CoordinatorConfig): Promise<void> {
  app.get(Submission).close();
  app.get(EventHub).stop();
  app.get(RemoteEvents).stop();
  const limit = setTimeout(() => app.get(TransactionLookup).drain(), config.drainMs);
  const cut = setTimeout(() => app.getHttpServer().closeAllConnections(), config.drainMs + READ_MS);
  await app.getHttpAdapter().close();
  clearTimeout(limit);
  clearTimeout(cut);
  app.get(ParticipantDirectory).stop();
  await withinLimit(Promise.all([app.get<MaybeAlerts>(ALERTS)?.stop(), app.get(Housekeeping).stop()]));
  // With the broker away a send ends only when the transport is closed, which comes after this.
  await withinLimit(app.get(CoordinatorDriver).stop());
}

/** A database or broker that does not answer must not hold a stop up. */
async function withinLimit(work: Promise<unknown>): Promise<void> {
  await Promise.race([work, sleep(STOP_LIMIT_MS, undefined, { ref: false })]);
}
