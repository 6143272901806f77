import { isTransientDatabaseError } from '#libs/postgres';
import { type CoordinatorObserver, UnavailableError } from '#libs/runtime';
import type { Logger } from '#libs/service';
import type { Alerts } from './alert/alerts.js';
import type { EventHub } from './events/event-hub.js';
import type { CoordinatorMetrics } from './metrics/coordinator-metrics.js';

/** Lets metrics, event streams, the webhook and the log know what the driver does. */
export function observerOf(metrics: CoordinatorMetrics, hub: EventHub, alerts: Pick<Alerts, 'wake'> | null, logger: Logger): CoordinatorObserver {
  return {
    begun: ({ protocol, view }) => {
      metrics.transactionBegun(protocol);
      if (hub.size > 0) hub.publish('begun', view());
    },
    decided: (view) => {
      metrics.transactionDecided(view);
      hub.publish('decided', view);
    },
    finished: (glimpse) => {
      metrics.transactionFinished(glimpse);
      if (hub.size > 0) hub.publish('finished', glimpse.view());
    },
    attention: (view) => {
      metrics.needsAttention(view);
      hub.publish('attention', view);
      alerts?.wake();
      const { txid, attention } = view;
      logger.error({ txid, step: attention?.step, reason: attention?.why }, 'a transaction needs a person');
    },
    flushed: (stats) => metrics.flushed(stats),
    fenced: (shards) => {
      metrics.fenced(shards.length);
      logger.warn({ shards }, 'shards have gone to another owner');
    },
    error: (error, context) => {
      metrics.error();
      // What goes away by itself is tried again by itself.
      const passes = isTransientDatabaseError(error) || error instanceof UnavailableError;
      logger[passes ? 'warn' : 'error']({ err: error, context }, 'the driver met a fault');
    },
  };
}
