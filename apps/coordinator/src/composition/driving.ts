import type { Provider } from '@nestjs/common';
import { AlertOutbox, ParticipantRegistry, PgCoordinatorStore, TransactionReader } from '#libs/postgres';
import { COORDINATOR_DEFAULTS, CoordinatorDriver, SystemClock, withCrashPoints } from '#libs/runtime';
import { type Logger, LOGGER, Registry } from '#libs/service';
import { AlertMetrics } from '../alert/alert-metrics.js';
import { Alerts } from '../alert/alerts.js';
import { deliver } from '../alert/webhook.js';
import { EventHub } from '../events/event-hub.js';
import { RemoteEvents } from '../events/remote-events.js';
import { CoordinatorMetrics } from '../metrics/coordinator-metrics.js';
import { observerOf } from '../observer.js';
import { ALERTS, type MaybeAlerts } from '../tokens.js';
import type { Resources } from './resources.js';

const MAX_STREAM_BUFFER_BYTES = 1024 * 1024;
const HEARTBEAT_MS = 15_000;
/** On a stop the answers to clients have been waited for already. */
const DRIVER_DRAIN_MS = 1_000;

/** The driver, and who hears of what it does. */
export function driving({ config, pools, transport }: Resources): Provider[] {
  const { instance, maxInFlight, maxInFlightPerParticipant, admissionTargetMs, acceptors, resolveAfterMs, webhook } = config;
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
      provide: ALERTS,
      inject: [Registry, LOGGER],
      useFactory: (registry: Registry, logger: Logger): MaybeAlerts => {
        if (webhook === null) return null;
        const metrics = new AlertMetrics(registry);
        return new Alerts({
          outbox: new AlertOutbox(pools.read),
          deliver: (alert, stopping) => deliver(webhook, alert, Date.now(), stopping),
          told: (result) => metrics.told(result),
          waiting: (alerts) => metrics.waiting(alerts),
          logger,
        });
      },
    },
    {
      provide: CoordinatorDriver,
      inject: [CoordinatorMetrics, EventHub, ParticipantRegistry, ALERTS, LOGGER],
      useFactory: (metrics: CoordinatorMetrics, hub: EventHub, registry: ParticipantRegistry, alerts: MaybeAlerts, logger: Logger) => {
        const driver = new CoordinatorDriver({
          ...withCrashPoints({ store: new PgCoordinatorStore(pools.write), transport }, 'coordinator', process.env),
          clock: new SystemClock(),
          observer: observerOf(metrics, hub, alerts, logger),
          onAnnounce: (messages) => registry.announce(messages),
          options: { ...COORDINATOR_DEFAULTS, instance, maxInFlight, maxInFlightPerParticipant, admissionTargetMs, acceptors, resolveAfterMs, drainMs: DRIVER_DRAIN_MS },
        });
        metrics.observe(driver, () => hub.size);
        return driver;
      },
    },
  ];
}
