import type { HandlerVote, ProtocolName } from '#libs/protocol';
import type { HandlerCall, InDoubtBranch, ParticipantDriver, ParticipantStats } from '#libs/runtime';
import { Counter, Gauge, Histogram, type Registry } from '#libs/service';
import type { Action, RunnerObserver } from './handler-runner.js';

const SIZES = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000];
/** Those in which a branch can be in doubt. */
const DOUBTING = ['2pc', '3pc', 'paxos-commit'] as const satisfies readonly ProtocolName[];

/** Rows of branches and steps by the state that was written, as operators read it. */
const ROWS = {
  prepared: 'prepared', committed: 'committed', aborted: 'aborted', readOnly: 'read-only', preCommitted: 'pre-committed', preAborted: 'pre-aborted',
  executed: 'executed', refused: 'refused', compensated: 'compensated', cancelled: 'cancelled',
} as const satisfies Partial<Record<keyof ParticipantStats, string>>;

type Driver = Pick<ParticipantDriver<unknown>, 'inDoubt' | 'parked' | 'stats'>;

/** Prometheus metrics of one site; those about what is now, and the driver's own counts, are read from it when they are scraped. */
export class ParticipantMetrics implements RunnerObserver {
  private readonly votes: Counter<'protocol' | 'operation' | 'vote' | 'code'>;
  private readonly calls: Counter<'protocol' | 'operation' | 'action'>;
  private readonly sizes: Histogram<'operation' | 'action'>;
  private readonly failures: Counter<'operation' | 'action'>;
  private readonly flushMs: Histogram;

  constructor(private readonly registry: Registry, private readonly driver: () => Driver | null) {
    const registers = [registry];
    this.votes = new Counter({ name: 'concordat_participant_votes_total', help: 'Votes, and answers of execute handlers, by protocol, operation and, for refusals, reason code; a batch that had to run again counts again', labelNames: ['protocol', 'operation', 'vote', 'code'], registers });
    this.calls = new Counter({ name: 'concordat_participant_handler_calls_total', help: 'Branches and steps that handlers have served; a batch that had to run again counts again', labelNames: ['protocol', 'operation', 'action'], registers });
    this.sizes = new Histogram({ name: 'concordat_participant_batch_size', help: 'Branches that one handler call (or one run of per-item handlers) served', labelNames: ['operation', 'action'], buckets: SIZES, registers });
    this.failures = new Counter({ name: 'concordat_participant_handler_failures_total', help: 'Handler calls that threw by their own fault; a batch counts once', labelNames: ['operation', 'action'], registers });
    this.flushMs = new Histogram({ name: 'concordat_participant_flush_seconds', help: 'Local database transactions, from begin to flush', buckets: [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5], registers });
    this.inDoubtGauges();
    this.gauge('concordat_participant_parked', 'Branches whose commit or abort handler fails', () => driver()?.parked().length ?? 0);
    this.driverCounts();
  }

  ran(operation: string, action: Action, calls: readonly Pick<HandlerCall, 'protocol'>[]): void {
    this.sizes.observe({ operation, action }, calls.length);
    const counts = new Map<ProtocolName, number>();
    for (const { protocol } of calls) counts.set(protocol, (counts.get(protocol) ?? 0) + 1);
    for (const [protocol, count] of counts) this.calls.inc({ protocol, operation, action }, count);
  }

  voted({ protocol, operation }: Pick<HandlerCall, 'protocol' | 'operation'>, vote: HandlerVote): void {
    this.votes.inc({ protocol, operation, vote: vote.vote, code: vote.reason?.code ?? '' });
  }

  failed(operation: string, action: Action): void {
    this.failures.inc({ operation, action });
  }

  flushed(ms: number): void {
    this.flushMs.observe(ms / 1_000);
  }

  private inDoubtGauges(): void {
    this.byProtocol('concordat_participant_in_doubt', 'Branches that voted yes and wait for the decision', (branches) => branches.length);
    this.byProtocol('concordat_participant_in_doubt_oldest_seconds', 'Age of the oldest branch in doubt; 0 when there is none', (branches) => branches.reduce((most, { ageMs }) => Math.max(most, ageMs), 0) / 1_000);
    this.byProtocol('concordat_participant_blocked', 'Branches in doubt for which nobody who could be asked knows the decision', (branches) => branches.filter(({ blocked }) => blocked).length);
  }

  private driverCounts(): void {
    this.counter('concordat_participant_rows_total', 'Rows of branches and steps written, by their state', (stats) => (
      Object.entries(ROWS).map(([key, state]) => [{ state }, stats[key as keyof typeof ROWS]])
    ), ['state']);
    this.counter('concordat_acceptor_rows_total', 'Promises and accepted values that this site\'s acceptor has written', (stats) => [[{}, stats.acceptorRows]]);
    this.counter('concordat_leader_ballots_total', 'Ballots that this site has led, because no decision came', (stats) => [[{}, stats.ballots]]);
    this.gauge('concordat_participant_inputs_queued', 'Messages and timers that wait for their local transaction', () => this.driver()?.stats().queued ?? 0);
    this.gauge('concordat_participant_messages_unsent', 'Messages that wait for the transport', () => this.driver()?.stats().unsent ?? 0);
  }

  /** Of what the driver counts itself. */
  private counter<Label extends string>(name: string, help: string, read: (stats: ParticipantStats) => readonly (readonly [Partial<Record<Label, string>>, number])[], labelNames: readonly Label[] = []): void {
    const { driver } = this;
    new Counter({
      name, help, labelNames, registers: [this.registry],
      collect() {
        const stats = driver()?.stats();
        if (stats === undefined) return;
        this.reset();
        for (const [labels, value] of read(stats)) this.inc(labels, value);
      },
    });
  }

  private gauge(name: string, help: string, read: () => number): void {
    new Gauge({ name, help, registers: [this.registry], collect() { this.set(read()); } });
  }

  private byProtocol(name: string, help: string, read: (branches: readonly InDoubtBranch[]) => number): void {
    const { driver } = this;
    new Gauge({
      name, help, labelNames: ['protocol'], registers: [this.registry],
      collect() {
        const branches = driver()?.inDoubt() ?? [];
        for (const protocol of DOUBTING) this.set({ protocol }, read(branches.filter((branch) => branch.protocol === protocol)));
      },
    });
  }
}
