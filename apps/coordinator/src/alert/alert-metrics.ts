import { Counter, Gauge, type Registry } from '#libs/service';

/** Of the webhook. */
export class AlertMetrics {
  private readonly deliveries: Counter<'result'>;
  private readonly open: Gauge;

  constructor(registry: Registry) {
    const registers = [registry];
    this.deliveries = new Counter({ name: 'concordat_webhook_deliveries_total', help: 'delivered; failed: tried, and tried again later; given-up: nobody was told', labelNames: ['result'], registers });
    this.open = new Gauge({ name: 'concordat_webhook_waiting', help: 'Alerts that have not been delivered yet, of all instances', registers });
    for (const result of ['delivered', 'failed', 'given-up']) this.deliveries.inc({ result }, 0);
  }

  told(result: 'delivered' | 'failed' | 'given-up'): void {
    this.deliveries.inc({ result });
  }

  waiting(alerts: number): void {
    this.open.set(alerts);
  }
}
