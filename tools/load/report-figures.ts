// What is worked out from the runs of a report, the same for the table, the page and the comparisons.
import type { Ending } from '../../apps/loadtest/src/contract.ts';
import type { Latency, LoadReport, RunReport } from './report-types.ts';
import { count, figure, percent } from '../report/numbers.ts';

export const ENDINGS: readonly Ending[] = ['committed', 'aborted', 'refused', 'unknown', 'shed'];
/** Arrivals of an open loop that is not kept up with: less than this share of the offered rate ended. */
const KEPT_UP = 0.97;
/** A generator that starts this late, compared with the p99, measures itself. */
const LATE = 0.5;
/** Of one core: a generator that takes more of it is what is measured, whatever it is that it asks. */
const BUSY = 0.8;

export type PercentileName = 'p50' | 'p75' | 'p90' | 'p95' | 'p99' | 'p999';
const SHARE_ABOVE: Readonly<Record<PercentileName, number>> = { p50: 0.5, p75: 0.25, p90: 0.1, p95: 0.05, p99: 0.01, p999: 0.001 };

/** Milliseconds; null where fewer values were seen than it takes for one to lie above: that "p99.9" would be the maximum under another name. */
export function percentileOf(latency: Latency, name: PercentileName): number | null {
  return latency.count * SHARE_ABOVE[name] < 1 - 1e-9 ? null : latency[name];
}

export interface Measure {
  /** With its unit. */
  readonly label: string;
  readonly better: 'more' | 'less';
  readonly of: (run: RunReport) => number | null;
}

export type MeasureName = 'perSecond' | 'p50' | 'p95' | 'p99' | 'cpuMs' | 'walBytes' | 'kafkaBytes';

export const MEASURES: Readonly<Record<MeasureName, Measure>> = {
  perSecond: { label: 'per second', better: 'more', of: (run) => run.perSecond },
  p50: { label: 'p50 ms', better: 'less', of: ({ latency }) => percentileOf(latency, 'p50') },
  p95: { label: 'p95 ms', better: 'less', of: ({ latency }) => percentileOf(latency, 'p95') },
  p99: { label: 'p99 ms', better: 'less', of: ({ latency }) => percentileOf(latency, 'p99') },
  cpuMs: { label: 'CPU ms/tx', better: 'less', of: cpuMsInAll },
  walBytes: { label: 'WAL bytes/tx', better: 'less', of: ({ cost }) => cost?.walBytes ?? null },
  kafkaBytes: { label: 'Kafka bytes/tx', better: 'less', of: ({ cost }) => cost?.kafkaBytes ?? null },
};

/** The generator's as well: it is the service, when the way is a local transaction. Null where no other process could be watched. */
export function cpuMsInAll({ processes }: RunReport): number | null {
  return processes.every(({ name }) => isGenerator(name)) ? null : processes.reduce((sum, { cpuMsPerTransaction }) => sum + cpuMsPerTransaction, 0);
}

/** A run that broke its books was fast at something else: none of its figures may be shown. */
export function auditFails({ audit }: RunReport): boolean {
  return audit.some(({ holds }) => !holds);
}

export function auditWord(run: RunReport): string {
  if (auditFails(run)) return 'FAILS';
  return run.audit.length === 0 ? 'not made' : 'holds';
}

export interface Labelled {
  readonly run: RunReport;
  /** The name, with the round where there are several. */
  readonly label: string;
}

export function labelled({ runs }: LoadReport): readonly Labelled[] {
  const total = Map.groupBy(runs, ({ name }) => name);
  return runs.map((run) => ({ run, label: total.get(run.name)!.length === 1 ? run.name : `${run.name}, round ${run.round + 1}` }));
}

/** Whose figures may be shown. */
export function sound(report: LoadReport): readonly Labelled[] {
  return labelled(report).filter(({ run }) => !auditFails(run));
}

/** Whether the two were asked for the same: as many at a time or a second, of the same work. The protocol is what differs. */
export function isSameLoad(a: RunReport, b: RunReport): boolean {
  const loadOf = ({ settings: { loop, workload } }: RunReport): string => JSON.stringify([
    loop.kind, loop.kind === 'closed' ? loop.clients : loop.ratePerSecond, workload.participants, workload.refusalShare, workload.skew, workload.payloadBytes,
  ]);
  return loadOf(a) === loadOf(b);
}

/** What the columns of the base lines are, for whoever reads them. */
export const BASES_SAID = 'x M, x B, x M/http: throughput over that of the monolith for as many clients: its transaction in five statements, in one statement, and in five behind the HTTP server';

/** The base lines: the monolith's local transaction in both ways of writing it, and behind the HTTP server. */
export const BASES = [['x M', 'local'], ['x B', 'local-single'], ['x M/http', 'local-http']] as const;

/**
 * Whether a local run may be set beside another one: as many clients (or arrivals) at the same keys. It has no payload and always three
 * participants.
 */
export function isBaseFor(base: RunReport, { settings: { loop, workload } }: RunReport): boolean {
  const own = base.settings;
  const loadOf = (l: typeof loop): number => (l.kind === 'closed' ? l.clients : l.ratePerSecond);
  return own.loop.kind === loop.kind && loadOf(own.loop) === loadOf(loop)
    && own.workload.refusalShare === workload.refusalShare && JSON.stringify(own.workload.skew) === JSON.stringify(workload.skew);
}

export function loadName({ settings: { loop } }: RunReport): string {
  return loop.kind === 'closed' ? `${count(loop.clients)} ${loop.clients === 1 ? 'client' : 'clients'}` : `${figure(loop.ratePerSecond)}/s`;
}

export function endingsInAll({ endings }: RunReport): number {
  return ENDINGS.reduce((sum, ending) => sum + endings[ending], 0);
}

/** What a reader has to know before he believes a run. */
export function cautions(run: RunReport): readonly string[] {
  const { settings: { loop }, warmup, perSecond, endings, latency, latestStartMs } = run;
  const p99 = percentileOf(latency, 'p99') ?? latency.max;
  const said = [];
  if (loop.kind === 'open' && perSecond < loop.ratePerSecond * KEPT_UP) said.push(`only ${percent(perSecond / loop.ratePerSecond)} of the offered rate ended: its latencies are those of a queue that grows or is cut`);
  if (warmup?.steady === false) said.push(`not steady after ${warmup.seconds} s of warm-up: what is measured may be the queue of the beginning, or one that grows`);
  if (endings.shed > 0) said.push(`${count(endings.shed)} arrivals were not sent at all, because too many were unanswered`);
  if (loop.kind === 'open' && latestStartMs > p99 * LATE) said.push(`the generator started an arrival ${figure(latestStartMs)} ms late: its own lateness is in the latencies`);
  const busy = busyGenerator(run);
  if (busy !== null) said.push(busy);
  if (endings.unknown > 0) said.push(`of ${count(endings.unknown)} the client never learnt the outcome`);
  if (run.audit.length === 0) said.push('not audited');
  return said;
}

function isGenerator(process: string): boolean {
  return /^load(-\d+)?$/.test(process);
}

/** A generator is one thread. Of a local way it is the program that is measured, too: then more of them are more instances of it. */
function busyGenerator({ settings: { seconds, workers, way, loop }, processes }: RunReport): string | null {
  const shares = processes.filter(({ name }) => isGenerator(name)).map(({ cpuSeconds }) => cpuSeconds / seconds);
  const most = Math.max(0, ...shares);
  if (most < BUSY || (loop.kind === 'closed' && loop.clients <= workers)) return null;
  const whose = way === 'local' || way === 'local-single' ? ' (it is the program with the database of its own, too)' : '';
  return `a generator took ${percent(most)} of one core${whose}: more may be possible with --workers ${workers * 2}`;
}
