import { describe, expect, it } from '@jest/globals';
import type { TransactionView } from '#libs/runtime';
import { type Logger, Registry } from '#libs/service';
import type { EventHub } from './events/event-hub.js';
import { CoordinatorMetrics } from './metrics/coordinator-metrics.js';
import { observerOf } from './observer.js';
import { transactionView } from './testing/transaction-view.js';

/** Tells an observer of one transaction's begin and end. */
function tell(streams: number): { readonly published: string[]; readonly looks: number; readonly registry: Registry } {
  const registry = new Registry();
  const published: string[] = [];
  const hub = { size: streams, publish: (event: string, { txid }: TransactionView) => { published.push(`${event} ${txid}`); } } as unknown as EventHub;
  const observer = observerOf(new CoordinatorMetrics(registry), hub, null, {} as Logger);
  let looks = 0;
  const glimpse = { protocol: '2pc', decidedAtMs: 1_000, finishedAtMs: 3_000, view: () => { looks++; return transactionView(); } } as const;
  observer.begun({ ...glimpse, decidedAtMs: null, finishedAtMs: null });
  observer.finished(glimpse);
  return { published, looks, registry };
}

describe('what is made of a begin and an end', () => {
  it('is no view while nobody listens, and is counted all the same', async () => {
    const { looks, published, registry } = tell(0);
    expect([looks, published]).toEqual([0, []]);
    const metrics = await registry.metrics();
    expect(metrics).toContain('concordat_transactions_begun_total{protocol="2pc"} 1');
    expect(metrics).toMatch(/concordat_phase_seconds_sum\{.*phase="finish".*\} 2\n/);
  });

  it('is an event for those who listen', () => {
    const { txid } = transactionView();
    expect(tell(1).published).toEqual([`begun ${txid}`, `finished ${txid}`]);
  });
});
