// Half of what the system can do, for long, with a short memory of what is finished: does anything grow?
import fs from 'node:fs';
import path from 'node:path';
import { auditAtRest } from './audit.ts';
import { measureCapacity } from './capacity.ts';
import type { Pools } from './cluster.ts';
import { memoryRows } from './overload.ts';
import type { MemorySample } from './memory.ts';
import type { ChaosOptions } from './options.ts';
import type { Violation } from './report.ts';
import { timeAxis } from '../report/axis.ts';
import { pageHtml, tableHtml } from '../report/html.ts';
import { plotSvg } from '../report/plot.ts';
import { styleOf } from '../report/svg.ts';
import { table } from '../report/text.ts';
import { clock } from './run.ts';
import type { Setting } from './setting.ts';
import { checkouts, FIRST_OF_EACH, startSmallCluster } from './small-cluster.ts';
import { type Trend, trendOf } from './trend.ts';

const SAMPLE_MS = 30_000;
/** Finished transactions go after this share of the run, so that several cleanings are seen. */
const KEPT = 1 / 6;
/** The shop's own books: every order adds to them, as it should. And Kafka removes whole segments only, of a gigabyte by default. */
const NOT_JUDGED = new Set(['orders.orders', 'payments.ledger_entry', 'inventory.stock_movement', 'kafka log']);
const MEMORY_NOISE = { share: 0.1, amount: 8 };
const TABLE_NOISE = { share: 0.15, amount: 2 };

export interface SoakReport {
  readonly seed: number;
  readonly minutes: number;
  readonly ratePerSecond: number;
  readonly capacityPerSecond: number;
  readonly environment: Readonly<Record<string, string>>;
  readonly memory: readonly MemorySample[];
  /** Megabytes of each table with its indexes and partitions, and of Kafka's log. */
  readonly sizes: readonly MemorySample[];
  readonly trends: Readonly<Record<string, Trend & { readonly judged: boolean }>>;
  readonly endings: Readonly<Record<string, number>>;
  readonly latencyMs: { readonly p50: number; readonly p99: number };
  readonly violations: readonly Violation[];
}

export async function runSoak(options: ChaosOptions, setting: Setting): Promise<SoakReport | null> {
  const { log, signal, undo, dataDir } = setting;
  const environment = environmentFor(options.minutes);
  const { cluster, load, unaskedEnds, sample } = await startSmallCluster(setting, { processes: FIRST_OF_EACH, proxied: false, env: environment });
  const next = checkouts(options.seed, options.protocols);
  const { perSecond: capacity } = await measureCapacity(load, next, log, signal);
  const rate = options.rateGiven ? options.ratePerSecond : capacity / 2;
  log(`capacity ${capacity.toFixed(0)}/s; ${rate.toFixed(0)}/s for ${options.minutes} minutes, finished transactions kept for ${(Number(environment.HISTORY_HOURS) * 60).toFixed(1)} minutes`);
  const began = performance.now();
  const memory: MemorySample[] = [];
  const sizes: MemorySample[] = [];
  const look = async (): Promise<void> => {
    const atMs = performance.now() - began;
    memory.push(sample(atMs));
    sizes.push({ atMs, megabytes: { ...(await tableMegabytes(cluster.pools)), 'kafka log': folderMegabytes(dataDir.file('kafka')) } });
    log(`${clock(atMs)}  ${Object.entries(memory.at(-1)!.megabytes).map(([name, mb]) => `${name} ${mb.toFixed(0)}`).join(', ')} MB; tables ${Object.values(sizes.at(-1)!.megabytes).reduce((sum, mb) => sum + mb, 0).toFixed(0)} MB`);
  };
  const ticker = setInterval(() => void look().catch((error: Error) => log(`could not look: ${error.message}`)), SAMPLE_MS);
  undo.push(async () => clearInterval(ticker));
  const phase = await load.phase('soak', rate, options.minutes * 60, next, signal);
  clearInterval(ticker);
  if (signal.aborted) return null;
  const { report } = await auditAtRest(cluster, { answers: load.answers as never, cleaned: true }, 120_000, signal);
  const trends = trendsOf(memory, sizes);
  return {
    seed: options.seed, minutes: options.minutes, ratePerSecond: rate, capacityPerSecond: capacity, environment, memory, sizes, trends, endings: phase.statuses, latencyMs: { p50: phase.latency.p50, p99: phase.latency.p99 },
    violations: [
      ...report.checks.flatMap((check) => check.offenders.map(({ txid, what }) => ({ check: check.name, txid, what }))),
      ...unaskedEnds.map((end) => ({ check: 'no process ends by itself', txid: null, what: `${end.process} (${end.how})` })),
      ...Object.entries(trends).filter(([, trend]) => trend.judged && trend.verdict === 'growing').map(([name, trend]) => ({ check: 'nothing grows for ever', txid: null, what: `${name}: ${trend.perHour.toFixed(1)} MB an hour` })),
    ],
  };
}

/** Services keep nothing for less than this. */
const LEAST_HOURS = 0.02;

/** Rows are kept for twice as long as messages: so much longer the participants want them. */
function environmentFor(minutes: number) {
  const hours = Math.max(LEAST_HOURS, round((minutes / 60) * KEPT));
  const kept = { hours: String(hours), partition: String(round(hours / 2)) };
  return {
    HISTORY_HOURS: kept.hours, PARTITION_HOURS: kept.partition, BRANCH_RETENTION_HOURS: kept.hours, BRANCH_PARTITION_HOURS: kept.partition,
    KAFKA_RETENTION_MS: String(Math.floor((hours * 3_600_000) / 2)), HOUSEKEEPING_SECONDS: '15',
  };
}

function round(hours: number): number {
  return Math.round(hours * 10_000) / 10_000;
}

function trendsOf(memory: readonly MemorySample[], sizes: readonly MemorySample[]): SoakReport['trends'] {
  const of = (samples: readonly MemorySample[], noise: Parameters<typeof trendOf>[1]): [string, Trend & { judged: boolean }][] => (
    [...new Set(samples.flatMap(({ megabytes }) => Object.keys(megabytes)))].map((name) => [name, { ...trendOf(samples.map(({ atMs, megabytes }) => [atMs, megabytes[name] ?? 0] as const), noise), judged: !NOT_JUDGED.has(name) }]));
  return Object.fromEntries([...of(memory, MEMORY_NOISE), ...of(sizes, TABLE_NOISE)]);
}

/** Each table with its indexes; the partitions of one are added up. */
async function tableMegabytes(pools: Pools): Promise<Record<string, number>> {
  const sizes: Record<string, number> = {};
  for (const [database, pool] of Object.entries(pools)) {
    const { rows } = await pool.query<{ name: string; bytes: string }>(`
      SELECT coalesce(pg_partition_root(c.oid), c.oid)::regclass::text AS name, sum(pg_total_relation_size(c.oid))::text AS bytes
        FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
       WHERE c.relkind IN ('r', 'p') AND n.nspname = 'public' GROUP BY 1`);
    for (const { name, bytes } of rows) {
      // A partition that is detached already, and about to be dropped, counts with its table still.
      const table = `${database}.${name.replace(/_\d{8,}$/, '')}`;
      if (Number(bytes) > 65_536) sizes[table] = (sizes[table] ?? 0) + Number(bytes) / 2 ** 20;
    }
  }
  return sizes;
}

function folderMegabytes(folder: string): number {
  let bytes = 0;
  for (const entry of fs.readdirSync(folder, { recursive: true, withFileTypes: true })) {
    try {
      // Blocks, not the length: index files are made long in advance.
      if (entry.isFile()) bytes += fs.statSync(path.join(entry.parentPath, entry.name)).blocks * 512;
    } catch {
      // Cleaned away in between.
    }
  }
  return bytes / 2 ** 20;
}

const number = (value: number): string => value.toFixed(value < 10 ? 1 : 0);

function trendRows(report: SoakReport): readonly (readonly string[])[] {
  return Object.entries(report.trends).map(([name, t]) => [name, number(t.first), number(t.most), number(t.last), t.perHour.toFixed(1), t.judged ? t.verdict : 'not judged']);
}

export function renderSoak(report: SoakReport): string {
  return [
    `${report.minutes} minutes at ${report.ratePerSecond.toFixed(0)}/s of ${report.capacityPerSecond.toFixed(0)}/s; ${Object.entries(report.environment).map(([name, value]) => `${name}=${value}`).join(' ')}`,
    `answers: ${Object.entries(report.endings).map(([what, n]) => `${what} ${n}`).join(', ')}; p50 ${number(report.latencyMs.p50)} ms, p99 ${number(report.latencyMs.p99)} ms`,
    ...table(['MB', 'at first', 'most', 'at last', 'per hour', 'verdict'], trendRows(report)),
    ...table(['resident MB', 'at first', 'most', 'at last'], memoryRows(report.memory)),
    report.violations.length === 0 ? 'flat: nothing grows' : `${report.violations.length} VIOLATIONS`,
    ...report.violations.slice(0, 20).map(({ check, txid, what }) => `  ${check}: ${txid === null ? '' : `${txid} `}${what}`),
  ].join('\n');
}

export function renderSoakPage(report: SoakReport): string {
  const endMs = report.minutes * 60_000;
  const plot = (title: string, samples: readonly MemorySample[], names: readonly string[]): string => plotSvg({
    title, unit: 'MB', kind: 'lines', scale: 'linear', lines: names.map((name, i) => ({ name, style: styleOf(i), points: samples.map(({ atMs, megabytes }) => [atMs, megabytes[name] ?? null] as const) })),
  }, timeAxis(endMs));
  const tables = Object.keys(report.sizes.at(-1)?.megabytes ?? {});
  return pageHtml(`Soak, seed ${report.seed}`, [
    `<h1>Soak <span class="verdict ${report.violations.length === 0 ? 'good' : 'bad'}">${report.violations.length === 0 ? 'flat' : `${report.violations.length} violations`}</span></h1>`,
    `<p class="facts">${report.minutes} minutes at ${report.ratePerSecond.toFixed(0)}/s of ${report.capacityPerSecond.toFixed(0)}/s</p>`,
    plot('Resident memory', report.memory, Object.keys(report.memory[0]?.megabytes ?? {})),
    ...['coordinator', 'orders', 'payments', 'inventory'].map((database) => plot(`Tables of ${database}`, report.sizes, tables.filter((name) => name.startsWith(`${database}.`)).slice(0, 8))),
    plot("Kafka's log", report.sizes, ['kafka log']),
    tableHtml(['MB', 'at first', 'most', 'at last', 'per hour', 'verdict'], trendRows(report), [0, 5]),
  ]);
}
