import type { Provider } from '@nestjs/common';
import { AuditLog, countOpen, ParticipantRegistry, shardList, TransactionReader } from '#libs/postgres';
import { CoordinatorDriver } from '#libs/runtime';
import { type Logger, LOGGER, Registry } from '#libs/service';
import { Housekeeping } from '../housekeeping.js';
import { OpenCounts } from '../metrics/open-counts.js';
import { bounded, within } from '../reads/bounded.js';
import { SHARD_LIST, type ShardList } from '../tokens.js';
import type { Resources } from './resources.js';

/** What asks the database, in bounded time. */
export function storage({ pools: { read, write }, config }: Resources): Provider[] {
  return [
    { provide: TransactionReader, useFactory: () => bounded(new TransactionReader(read)) },
    { provide: ParticipantRegistry, useFactory: () => bounded(new ParticipantRegistry(read)) },
    { provide: AuditLog, useFactory: () => bounded(new AuditLog(read)) },
    { provide: SHARD_LIST, useFactory: (): ShardList => () => within(shardList(read)) },
    {
      provide: Housekeeping,
      inject: [Registry, LOGGER],
      useFactory: (registry: Registry, logger: Logger) => new Housekeeping(write, config.history, registry, logger),
    },
    {
      provide: OpenCounts,
      inject: [CoordinatorDriver, LOGGER],
      useFactory: (driver: CoordinatorDriver, logger: Logger) => new OpenCounts(
        () => within(countOpen(read, driver.shards().map(({ shard }) => shard))),
        (error) => logger.warn({ err: error }, 'cannot count what is open now'),
      ),
    },
  ];
}
