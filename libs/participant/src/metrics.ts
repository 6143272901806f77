import type { HandlerAction, HandlerVote } from '#libs/protocol';
import type { ParticipantDriver } from '#libs/runtime';
import { Counter, Gauge, Histogram, type Registry } from '#libs/service';
import type { RunnerObserver } from './handler-runner.js';

const SIZES = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000];

type Driver = Pick<ParticipantDriver<unknown>, 'inDoubt' | 'parked'>;

/** Prometheus metrics of one participant; the gauges are read from the driver when they are scraped. */
export class ParticipantMetrics implements RunnerObserver {
  private readonly votes: Counter<'operation' | 'vote' | 'code'>;
  private readonly sizes: Histogram<'operation' | 'action'>;
  private readonly failures: Counter<'operation' | 'action'>;
  private readonly flushMs: Histogram;

  constructor(registry: Registry, driver: () => Driver | null) {
    const registers = [registry];
    this.votes = new Counter({ name: 'concordat_participant_votes_total', help: 'Votes by operation and, for refusals, reason code; a batch that had to run again counts again', labelNames: ['operation', 'vote', 'code'], registers });
    this.sizes = new Histogram({ name: 'concordat_participant_batch_size', help: 'Branches that one handler call (or one run of per-item handlers) served', labelNames: ['operation', 'action'], buckets: SIZES, registers });
    this.failures = new Counter({ name: 'concordat_participant_handler_failures_total', help: 'Handler calls that threw by their own fault; a batch counts once', labelNames: ['operation', 'action'], registers });
    this.flushMs = new Histogram({ name: 'concordat_participant_flush_seconds', help: 'Local database transactions, from begin to flush', buckets: [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5], registers });
    gauge('concordat_participant_in_doubt', 'Branches that voted yes and wait for the decision', () => driver()?.inDoubt().length ?? 0);
    gauge('concordat_participant_in_doubt_oldest_seconds', 'Age of the oldest branch in doubt; 0 when there is none', () => oldestSeconds(driver()));
    gauge('concordat_participant_blocked', 'Branches in doubt for which neither coordinator nor peers could tell the decision', () => driver()?.inDoubt().filter((branch) => branch.blocked).length ?? 0);
    gauge('concordat_participant_parked', 'Branches whose commit or abort handler fails', () => driver()?.parked().length ?? 0);

    function gauge(name: string, help: string, read: () => number): void {
      new Gauge({ name, help, registers, collect() { this.set(read()); } });
    }
  }

  ran(operation: string, action: HandlerAction, calls: number): void {
    this.sizes.observe({ operation, action }, calls);
  }

  voted(operation: string, vote: HandlerVote): void {
    this.votes.inc({ operation, vote: vote.vote, code: vote.reason?.code ?? '' });
  }

  failed(operation: string, action: HandlerAction): void {
    this.failures.inc({ operation, action });
  }

  flushed(ms: number): void {
    this.flushMs.observe(ms / 1_000);
  }
}

function oldestSeconds(driver: Driver | null): number {
  const branches = driver?.inDoubt() ?? [];
  if (branches.length === 0) return 0;
  const oldest = branches.reduce((min, { sinceMs }) => Math.min(min, sinceMs), Infinity);
  return Math.max(0, (Date.now() - oldest) / 1_000);
}
