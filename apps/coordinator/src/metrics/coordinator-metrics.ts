import { PROTOCOL_NAMES, type ProtocolName } from '#libs/protocol';
import type { CoordinatorDriver, CoordinatorStats, FlushStats, Glimpse, ParticipantLoad, TransactionView } from '#libs/runtime';
import { Counter, Gauge, Histogram, Registry } from '#libs/service';
import type { OpenCounts } from './open-counts.js';
import { OutcomeCounts, outcomeOf } from './outcome-counts.js';

const SECONDS = [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30];
const SIZES = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000];
/** Reason codes come from participants: a metric must not grow with what they think of. */
const MAX_REASONS = 100;

interface Child { inc(): void }

/** Prometheus metrics of the coordinator. */
export class CoordinatorMetrics {
  /** Of this instance, since its start. */
  readonly counts = new OutcomeCounts();
  private readonly outcomes: Counter<'protocol' | 'outcome' | 'reason'>;
  private readonly begun: Counter<'protocol'>;
  private readonly attention: Counter<'protocol'>;
  private readonly phases: Histogram<'phase' | 'protocol'>;
  private readonly flushRecords: Histogram<'kind'>;
  private readonly flushSeconds: Histogram;
  private readonly fencedShards: Counter;
  private readonly errors: Counter;
  private readonly dropped: Counter;
  /** Labels are looked up once, not for every transaction. */
  private readonly outcomeChildren = new Map<string, Child>();
  private readonly reasons = new Set<string>();

  constructor(private readonly registry: Registry) {
    const registers = [registry];
    this.begun = new Counter({ name: 'concordat_transactions_begun_total', help: 'Transactions begun here', labelNames: ['protocol'], registers });
    this.outcomes = new Counter({ name: 'concordat_transactions_total', help: 'Transactions decided here: committed, aborted, and of sagas completed, compensated', labelNames: ['protocol', 'outcome', 'reason'], registers });
    this.attention = new Counter({ name: 'concordat_needs_attention_total', help: 'Transactions that have come to need a person here', labelNames: ['protocol'], registers });
    this.phases = new Histogram({ name: 'concordat_phase_seconds', help: 'decide: from creation to decision; finish: from decision to the end', labelNames: ['phase', 'protocol'], buckets: SECONDS, registers });
    this.flushRecords = new Histogram({ name: 'concordat_flush_records', help: 'Records in one flush', labelNames: ['kind'], buckets: SIZES, registers });
    this.flushSeconds = new Histogram({ name: 'concordat_flush_seconds', help: 'Duration of one flush, retries included', buckets: SECONDS, registers });
    this.fencedShards = new Counter({ name: 'concordat_fenced_shards_total', help: 'Shards lost to another owner by epoch', registers });
    this.errors = new Counter({ name: 'concordat_driver_errors_total', help: 'Faults met by the driver, most of them passing', registers });
    this.dropped = new Counter({ name: 'concordat_event_streams_dropped_total', help: 'Event streams dropped because their consumers did not keep up', registers });
  }

  /** Values that are read when somebody asks. */
  observe(driver: Pick<CoordinatorDriver, 'stats' | 'shards'>, openStreams: () => number): void {
    this.gauge('concordat_in_flight', 'Transactions that are not finished', () => driver.stats().inFlight);
    this.gauge('concordat_undecided', 'Transactions without a decision', () => driver.stats().undecided);
    this.gauge('concordat_shards_owned', 'Shards that this instance owns', () => driver.shards().length);
    this.gauge('concordat_shards_recovering', 'Owned shards whose unfinished transactions are still being loaded', () => driver.shards().filter((shard) => !shard.recovered).length);
    this.gauge('concordat_store_stalled', '1 while the database does not take records', () => Number(driver.stats().storeStalled));
    this.gauge('concordat_transport_stalled', '1 while messages do not leave', () => Number(driver.stats().transportStalled));
    this.byParticipant('concordat_participant_undecided', 'Undecided transactions here that name the participant', () => driver.stats().participants, 'undecided');
    this.byParticipant('concordat_participant_undecided_limit', 'How many of them are taken at the moment', () => driver.stats().participants, 'limit');
    this.gauge('concordat_event_streams', 'Open event streams', openStreams);
  }

  /** What is open in the shards of this instance, as the database has it. While that cannot be read the values are NaN. */
  observeOpen(open: OpenCounts): void {
    const registers = [this.registry];
    const byState = new Gauge({
      name: 'concordat_open_transactions', help: 'Transactions without an end in the shards of this instance. undecided; in-doubt: undecided beyond their deadline; delivering: decided, and not applied by all; needs-attention: of any of these',
      labelNames: ['protocol', 'state'], registers,
      async collect() {
        const counts = await open.read();
        for (const protocol of PROTOCOL_NAMES) {
          const of = counts?.get(protocol);
          this.set({ protocol, state: 'undecided' }, of?.undecided ?? NaN);
          this.set({ protocol, state: 'in-doubt' }, of?.overdue ?? NaN);
          this.set({ protocol, state: 'delivering' }, of === undefined ? NaN : of.unfinished - of.undecided);
          this.set({ protocol, state: 'needs-attention' }, of?.needAttention ?? NaN);
        }
      },
    });
    const oldest = new Gauge({
      name: 'concordat_oldest_undecided_seconds', help: 'Age of the oldest undecided transaction in the shards of this instance', labelNames: ['protocol'], registers,
      async collect() {
        const counts = await open.read();
        for (const protocol of PROTOCOL_NAMES) this.set({ protocol }, (counts?.get(protocol)?.oldestUndecidedMs ?? NaN) / 1000);
      },
    });
    void [byState, oldest];
  }

  transactionBegun(protocol: ProtocolName): void {
    this.begun.inc({ protocol });
    this.counts.begun(protocol);
  }

  transactionDecided(view: TransactionView): void {
    this.outcomeChild(view).inc();
    this.counts.decided(view);
    if (view.decidedAtMs !== null) this.observePhase('decide', view.protocol, view.decidedAtMs - view.createdAtMs);
  }

  transactionFinished({ protocol, decidedAtMs, finishedAtMs }: Glimpse): void {
    if (finishedAtMs !== null && decidedAtMs !== null) this.observePhase('finish', protocol, finishedAtMs - decidedAtMs);
  }

  needsAttention(view: TransactionView): void {
    this.attention.inc({ protocol: view.protocol });
    this.counts.attention(view.protocol);
  }

  flushed(stats: FlushStats): void {
    this.flushSeconds.observe(stats.ms / 1000);
    if (stats.begins > 0) this.flushRecords.observe({ kind: 'begin' }, stats.begins);
    if (stats.progress > 0) this.flushRecords.observe({ kind: 'progress' }, stats.progress);
    if (stats.decisions > 0) this.flushRecords.observe({ kind: 'decide' }, stats.decisions);
    if (stats.ends > 0) this.flushRecords.observe({ kind: 'end' }, stats.ends);
  }

  fenced(shards: number): void {
    this.fencedShards.inc(shards);
  }

  error(): void {
    this.errors.inc();
  }

  streamDropped(): void {
    this.dropped.inc();
  }

  private observePhase(phase: string, protocol: ProtocolName, ms: number): void {
    // Clocks may step back between two readings.
    this.phases.observe({ phase, protocol }, Math.max(0, ms) / 1000);
  }

  private outcomeChild(view: TransactionView): Child {
    const outcome = outcomeOf(view);
    const reason = this.reasonLabel(view.reason?.code ?? '');
    const key = `${view.protocol} ${outcome} ${reason}`;
    let child = this.outcomeChildren.get(key);
    if (child === undefined) {
      child = this.outcomes.labels({ protocol: view.protocol, outcome, reason });
      this.outcomeChildren.set(key, child);
    }
    return child;
  }

  private reasonLabel(code: string): string {
    if (this.reasons.has(code)) return code;
    if (this.reasons.size >= MAX_REASONS) return 'OTHER';
    this.reasons.add(code);
    return code;
  }

  private byParticipant(name: string, help: string, read: () => CoordinatorStats['participants'], field: keyof ParticipantLoad): void {
    new Gauge({
      name, help, labelNames: ['participant'], registers: [this.registry],
      collect() { for (const [participant, load] of Object.entries(read())) this.set({ participant }, load[field]); },
    });
  }

  private gauge(name: string, help: string, read: () => number): void {
    new Gauge({ name, help, registers: [this.registry], collect() { this.set(read()); } });
  }
}
