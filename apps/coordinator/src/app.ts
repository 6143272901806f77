import { setTimeout as sleep } from 'node:timers/promises';
import { type MicroserviceOptions } from '@nestjs/microservices';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import { InboxStrategy, KafkaTransport } from '#libs/kafka';
import { createPool, type Pool } from '#libs/postgres';
import { CoordinatorDriver, type Transport } from '#libs/runtime';
import { createHttpApp, createLogger, HealthRegistry, listenHttp, type Logger, setupOpenApi, type StartApp } from '#libs/service';
import { configFromEnv, type CoordinatorConfig } from './config.js';
import { CoordinatorModule, type Resources } from './coordinator.module.js';
import { EventHub } from './events/event-hub.js';
import { RemoteEvents } from './events/remote-events.js';
import { mapError } from './http/map-error.js';
import { Membership } from './membership.js';
import { TransactionLookup } from './reads/transaction-lookup.js';
import { ParticipantDirectory } from './submit/participant-directory.js';
import { Submission } from './submit/submission.js';

const NAME = 'coordinator';
const DRIVER_STOP_MS = 3_000;
/** Whoever has not read its answer this long after the last wait has ended is not waited for. */
const READ_MS = 2_000;
const BATCH_ROUTE = '/v1/transactions::batch';

/** Starts the coordinator: HTTP API, shards by the inbox's consumer group, driver. */
export const startCoordinator: StartApp = async (env, deps = {}) => {
  const logger = createLogger(NAME, env);
  const config = configFromEnv(env, logger, deps.transport !== undefined);
  const cleanUp: (() => Promise<unknown>)[] = [];
  const freeAll = async (): Promise<void> => { for (const free of cleanUp.splice(0).reverse()) await free(); };
  try {
    const pool = createPool(config.databaseUrl, { max: config.databaseConnections, applicationName: `concordat-${NAME}/${config.instance}`, onError: (error) => logger.warn({ err: error }, 'a database connection broke') });
    cleanUp.push(() => pool.end());
    const transport = deps.transport ?? await KafkaTransport.create(config.kafka!);
    if (deps.transport === undefined) cleanUp.push(() => transport.close());
    const app = await createApp({ config, pool, transport }, logger);
    cleanUp.push(() => app.close());
    const url = await serve(app, { config, pool, transport });
    logger.info({ url }, `listening on ${url}`);
    return { name: NAME, url, close: async () => { await drain(app, config); await freeAll(); } };
  } catch (error) {
    await freeAll().catch(() => undefined);
    throw error;
  }
};

async function createApp(resources: Resources, logger: Logger): Promise<NestFastifyApplication> {
  const { auth, limits } = resources.config;
  const app = await createHttpApp(CoordinatorModule.forRoot(resources), {
    name: NAME, logger, auth, mapError, bodyLimitBytes: limits.bodyBytes, routeBodyLimits: { [BATCH_ROUTE]: limits.batchBodyBytes },
  });
  setupOpenApi(app, { title: 'Concordat coordinator', description: 'Runs transactions that span several services: in all of them, or in none.', version: '1' });
  return app;
}

async function serve(app: NestFastifyApplication, { config, pool, transport }: Resources): Promise<string> {
  registerChecks(app, pool, transport);
  await app.get(ParticipantDirectory).start();
  app.get(RemoteEvents).start();
  app.connectMicroservice<MicroserviceOptions>({ strategy: new InboxStrategy({ transport, inbox: { role: 'coordinator' } }) });
  const url = await listenHttp(app, { host: config.host, port: config.port, portVariable: 'COORDINATOR_PORT' });
  await app.startAllMicroservices();
  return url;
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
  // With the broker away a send ends only when the transport is closed, which comes after this.
  await Promise.race([app.get(CoordinatorDriver).stop(), sleep(DRIVER_STOP_MS, undefined, { ref: false })]);
}
