import type { Provider } from '@nestjs/common';
import { AuditLog, idempotencyKeys, ParticipantRegistry, TransactionReader } from '#libs/postgres';
import { CoordinatorDriver } from '#libs/runtime';
import { type Logger, LOGGER } from '#libs/service';
import { Operator } from '../operate/operator.js';
import { RemoteOutcomes } from '../reads/remote-outcomes.js';
import { TransactionLookup } from '../reads/transaction-lookup.js';
import { KeyLookup } from '../submit/key-lookup.js';
import { ParticipantDirectory } from '../submit/participant-directory.js';
import { PayloadSchemas } from '../submit/payload-schemas.js';
import { Submission } from '../submit/submission.js';
import { TransactionBodyReader } from '../submit/transaction-body.js';
import { SHARD_LIST, type ShardList } from '../tokens.js';
import type { Resources } from './resources.js';

/** What answers requests. */
export function serving({ config: { limits, acceptors }, pools }: Resources): Provider[] {
  return [
    {
      provide: ParticipantDirectory,
      inject: [ParticipantRegistry, LOGGER],
      useFactory: (registry: ParticipantRegistry, logger: Logger) => new ParticipantDirectory(
        registry,
        new PayloadSchemas((schema, error) => logger.error({ err: error, schema }, 'an announced payload schema is not valid; its payloads are checked by the participant alone')),
        (error) => logger.warn({ err: error }, 'cannot read the participants now'),
      ),
    },
    {
      provide: TransactionLookup,
      inject: [CoordinatorDriver, TransactionReader],
      useFactory: (driver: CoordinatorDriver, reader: TransactionReader) => {
        const shared = (): RemoteOutcomes => new RemoteOutcomes((txids) => reader.read(txids));
        return new TransactionLookup(driver, shared(), shared(), (txid) => reader.timeline(txid));
      },
    },
    {
      provide: Submission,
      inject: [CoordinatorDriver, TransactionLookup, ParticipantDirectory],
      useFactory: (driver: CoordinatorDriver, lookup: TransactionLookup, participants: ParticipantDirectory) => new Submission({
        driver, lookup, participants, limits, acceptors,
        reader: new TransactionBodyReader(limits),
        keys: new KeyLookup((keys) => idempotencyKeys(pools.read, keys)),
      }),
    },
    {
      provide: Operator,
      inject: [CoordinatorDriver, TransactionLookup, ParticipantRegistry, ParticipantDirectory, AuditLog, SHARD_LIST, LOGGER],
      useFactory: (driver: CoordinatorDriver, lookup: TransactionLookup, registry: ParticipantRegistry, directory: ParticipantDirectory, audit: AuditLog, list: ShardList, logger: Logger) => new Operator({ driver, lookup, registry, directory, audit, shardList: list, logger }),
    },
  ];
}
