import { type DynamicModule, Module, type Provider } from '@nestjs/common';
import { AuditLog, ParticipantRegistry, PgCoordinatorStore, type Pool, shardList, TransactionReader } from '#libs/postgres';
import { COORDINATOR_DEFAULTS, CoordinatorDriver, SystemClock, type Transport } from '#libs/runtime';
import { type Logger, LOGGER, Registry } from '#libs/service';
import type { CoordinatorConfig } from './config.js';
import { EventHub } from './events/event-hub.js';
import { RemoteEvents } from './events/remote-events.js';
import { ClusterController } from './http/cluster.controller.js';
import { EventsController } from './http/events.controller.js';
import { LandingController } from './http/landing.controller.js';
import { OperatorController } from './http/operator.controller.js';
import { ReadController } from './http/read.controller.js';
import { SubmitController } from './http/submit.controller.js';
import { InboxController } from './inbox.controller.js';
import { Membership } from './membership.js';
import { CoordinatorMetrics } from './metrics/coordinator-metrics.js';
import { observerOf } from './observer.js';
import { Operator } from './operate/operator.js';
import { RemoteOutcomes } from './reads/remote-outcomes.js';
import { TransactionLookup } from './reads/transaction-lookup.js';
import { ParticipantDirectory } from './submit/participant-directory.js';
import { PayloadSchemas } from './submit/payload-schemas.js';
import { Submission } from './submit/submission.js';
import { TransactionBodyReader } from './submit/transaction-body.js';
import { CONFIG, SHARD_LIST, type ShardList } from './tokens.js';

const MAX_STREAM_BUFFER_BYTES = 1024 * 1024;
const HEARTBEAT_MS = 15_000;
/** On a stop the answers to clients have been waited for already. */
const DRIVER_DRAIN_MS = 1_000;

export interface Resources {
  readonly config: CoordinatorConfig;
  readonly pool: Pool;
  readonly transport: Transport;
}

/** What the coordinator is made of. */
@Module({})
export class CoordinatorModule {
  static forRoot(resources: Resources): DynamicModule {
    return {
      module: CoordinatorModule,
      // EventsController first: its path is also one of `v1/transactions/:id`.
      controllers: [EventsController, SubmitController, ReadController, OperatorController, ClusterController, LandingController, InboxController],
      providers: [{ provide: CONFIG, useValue: resources.config }, Membership, ...storage(resources), ...driving(resources), ...serving(resources)],
    };
  }
}

function storage({ pool }: Resources): Provider[] {
  return [
    { provide: TransactionReader, useFactory: () => new TransactionReader(pool) },
    { provide: ParticipantRegistry, useFactory: () => new ParticipantRegistry(pool) },
    { provide: AuditLog, useFactory: () => new AuditLog(pool) },
    { provide: SHARD_LIST, useFactory: (): ShardList => () => shardList(pool) },
  ];
}

function driving({ config, pool, transport }: Resources): Provider[] {
  return [
    { provide: CoordinatorMetrics, inject: [Registry], useFactory: (registry: Registry) => new CoordinatorMetrics(registry) },
    {
      provide: EventHub,
      inject: [CoordinatorMetrics, LOGGER],
      useFactory: (metrics: CoordinatorMetrics, logger: Logger) => new EventHub({ maxStreams: config.limits.eventStreams, maxBufferedBytes: MAX_STREAM_BUFFER_BYTES, heartbeatMs: HEARTBEAT_MS, logger, onDropped: () => metrics.streamDropped() }),
    },
    {
      provide: RemoteEvents,
      inject: [EventHub, TransactionReader, LOGGER],
      useFactory: (hub: EventHub, reader: TransactionReader, logger: Logger) => new RemoteEvents(hub, reader, (error) => logger.warn({ err: error }, 'cannot read the events of other instances now')),
    },
    {
      provide: CoordinatorDriver,
      inject: [CoordinatorMetrics, EventHub, ParticipantRegistry, LOGGER],
      useFactory: (metrics: CoordinatorMetrics, hub: EventHub, registry: ParticipantRegistry, logger: Logger) => {
        const driver = new CoordinatorDriver({
          store: new PgCoordinatorStore(pool),
          transport,
          clock: new SystemClock(),
          observer: observerOf(metrics, hub, logger),
          onAnnounce: (messages) => registry.announce(messages),
          options: { ...COORDINATOR_DEFAULTS, instance: config.instance, maxInFlight: config.maxInFlight, drainMs: DRIVER_DRAIN_MS },
        });
        metrics.observe(driver, () => hub.size);
        return driver;
      },
    },
  ];
}

function serving({ config }: Resources): Provider[] {
  const { limits } = config;
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
      inject: [CoordinatorDriver, TransactionLookup, ParticipantDirectory, TransactionReader],
      useFactory: (driver: CoordinatorDriver, lookup: TransactionLookup, directory: ParticipantDirectory, reader: TransactionReader) =>
        new Submission(driver, lookup, new TransactionBodyReader(limits.maxTimeoutMs), directory, limits.defaultTimeoutMs, reader),
    },
    {
      provide: Operator,
      inject: [CoordinatorDriver, TransactionLookup, ParticipantRegistry, ParticipantDirectory, AuditLog, SHARD_LIST],
      useFactory: (driver: CoordinatorDriver, lookup: TransactionLookup, registry: ParticipantRegistry, directory: ParticipantDirectory, audit: AuditLog, list: ShardList) => new Operator({ driver, lookup, registry, directory, audit, shardList: list }),
    },
  ];
}
