import fs from 'node:fs';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { percentileCurve } from './report-histogram.ts';
import { ReportError } from './report-error.ts';
import type { Latency, LoadReport, RunReport } from './report-types.ts';

const FORMAT = 1;

const text = { type: 'string' };
const number = { type: 'number' };
const whole = { type: 'integer', minimum: 0 };
/** JSON has no NaN: what was not measured comes back as null. */
const perhaps = { type: ['number', 'null'] };
const wordsByName = { type: 'object', additionalProperties: text };
const numbersByName = { type: 'object', additionalProperties: number };

function list(items: object): object {
  return { type: 'array', items };
}

/** Others may be there: a newer generator may know more. */
function object<T extends Record<string, object>>(properties: T): object {
  return { type: 'object', properties, required: Object.keys(properties) };
}

function all(names: readonly string[], schema: object): object {
  return object(Object.fromEntries(names.map((name) => [name, schema])));
}

const RUN = object({
  name: text,
  settings: object({
    way: text,
    loop: { anyOf: [object({ kind: { const: 'closed' }, clients: number }), object({ kind: { const: 'open' }, ratePerSecond: number })] },
    workload: object({ protocol: text, participants: number, refusalShare: number, skew: { anyOf: [text, object({ zipf: number })] }, payloadBytes: number, seed: number }),
    warmupSeconds: number, seconds: number, batchSize: number, workers: number,
  }),
  round: whole,
  startedAt: text,
  endings: all(['committed', 'aborted', 'refused', 'unknown', 'shed'], whole),
  reasons: numbersByName,
  perSecond: number,
  latency: { ...object({ count: whole }), ...{ allOf: [all(['mean', 'p50', 'p75', 'p90', 'p95', 'p99', 'p999', 'max'], perhaps)] } },
  histogram: text,
  bySecond: list(object({ second: number, ended: number, refused: number, p50Ms: perhaps, p99Ms: perhaps })),
  latestStartMs: number,
  phases: { anyOf: [{ type: 'null' }, list(object({ name: { enum: ['queue', 'prepare', 'vote', 'decision', 'delivery'] }, p50: perhaps, p95: perhaps, p99: perhaps }))] },
  processes: list(object({ name: text, cpuSeconds: number, cpuMsPerTransaction: perhaps, rssMbMost: number })),
  cost: { anyOf: [{ type: 'null' }, all(['coordinatorFlushes', 'databaseTransactions', 'walSyncs', 'walBytes', 'kafkaBytes'], perhaps)] },
  audit: list(object({ name: text, holds: { type: 'boolean' }, detail: text })),
});

const REPORT = object({
  format: { const: FORMAT }, at: text, version: text, machine: all(['cpus', 'cpu', 'memoryGb', 'os', 'node', 'postgres', 'kafka'], text), environment: wordsByName, runs: list(RUN), rounds: whole,
});

const isReport = new Ajv2020({ allowUnionTypes: true, strict: false }).compile<LoadReport>(REPORT);

/**
 * A report as `--json` wrote it.
 * @throws {ReportError} not to be read, not JSON, of another format, or not a report; one line that names the file
 */
export function readReport(file: string): LoadReport {
  const value = parsed(file);
  if (typeof value !== 'object' || value === null || !('format' in value)) throw new ReportError(`${file}: not a report of the load tester; write one with --json FILE`);
  if (value.format !== FORMAT) throw new ReportError(`${file}: a report of format ${String(value.format)}, this version reads ${FORMAT}; measure again, or read it with the version that wrote it`);
  withRounds(value);
  if (!isReport(value)) {
    const error = isReport.errors![0]!;
    throw new ReportError(`${file}: not a whole report: ${error.instancePath === '' ? 'it' : error.instancePath.slice(1).replaceAll('/', '.')} ${error.message ?? 'is wrong'}`);
  }
  value.runs.forEach((run, i) => decodable(file, run, i));
  return { ...value, runs: value.runs.map((run) => ({ ...run, latency: withoutNull(run.latency) })) };
}

function parsed(file: string): unknown {
  let content: string;
  try {
    content = fs.readFileSync(file, 'utf8');
  } catch (error) {
    throw new ReportError(`${file}: cannot be read (${(error as NodeJS.ErrnoException).code})`);
  }
  try {
    return JSON.parse(content);
  } catch {
    throw new ReportError(`${file}: not JSON`);
  }
}

/** A report of before rounds were told has them in the order of its runs. */
function withRounds(value: object): void {
  if (!('runs' in value) || !Array.isArray(value.runs)) return;
  const seen = new Map<unknown, number>();
  for (const run of value.runs as ({ name?: unknown; round?: unknown } | null)[]) {
    if (typeof run !== 'object' || run === null || 'round' in run) continue;
    const round = seen.get(run.name) ?? 0;
    seen.set(run.name, round + 1);
    run.round = round;
  }
}

function decodable(file: string, run: RunReport, i: number): void {
  try {
    percentileCurve(run.histogram);
  } catch {
    throw new ReportError(`${file}: not a whole report: runs.${i}.histogram is not an HDR histogram (V2, compressed, base64)`);
  }
}

function withoutNull(latency: Latency): Latency {
  return Object.fromEntries(Object.entries(latency).map(([name, value]: [string, number | null]) => [name, value ?? Number.NaN])) as unknown as Latency;
}
