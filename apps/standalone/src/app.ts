import { MemoryTransport } from '#libs/kafka';
import { envInt, type RunningApp, type StartApp } from '#libs/service';
import { startCoordinator } from '../../coordinator/src/app.js';
import { startInventory } from '../../inventory/src/app.js';
import { startOrders } from '../../orders/src/app.js';
import { startPayments } from '../../payments/src/app.js';
import { startStorefront } from '../../storefront/src/app.js';

/** Participants first: the coordinator then has somebody to send to, and the storefront somebody to ask. */
const STARTS: readonly StartApp[] = [startOrders, startPayments, startInventory, startCoordinator, startStorefront];

/** All five applications in one process, over the in-process bus. State is in Postgres as ever; only Kafka is replaced. */
export const startStandalone: StartApp = async (env) => {
  const transport = new MemoryTransport({
    coordinatorShards: envInt(env, 'COORDINATOR_SHARDS', { default: 8, min: 1, max: 4096 }),
    participantPartitions: envInt(env, 'PARTICIPANT_PARTITIONS', { default: 8, min: 1, max: 4096 }),
  });
  const running: RunningApp[] = [];
  const close = async (): Promise<void> => {
    for (const app of running.reverse()) await app.close();
    await transport.close();
  };
  try {
    for (const start of STARTS) running.push(await start({ ...env, TRANSPORT: 'memory' }, { transport }));
  } catch (error) {
    await close();
    throw error;
  }
  return { name: 'standalone', url: running.find((app) => app.name === 'coordinator')?.url ?? null, close };
};
