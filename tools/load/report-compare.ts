// Configurations against each other, each measured several times in turn.
import { ReportError } from './report-error.ts';
import { auditFails, BASES, isBaseFor, isSameLoad, type MeasureName, MEASURES } from './report-figures.ts';
import type { LoadReport, RunReport } from './report-types.ts';
import { figure, percent } from '../report/numbers.ts';
import { table } from '../report/text.ts';

/** Above this, the machine or the thing itself was too restless for a median to say much. */
export const RESTLESS = 0.2;

export const COMPARED: readonly MeasureName[] = ['perSecond', 'p50', 'p99', 'cpuMs'];

export interface Spread {
  readonly median: number;
  readonly min: number;
  readonly max: number;
  /** Of the median: (max - min) / median. */
  readonly spread: number;
}

export interface Group {
  readonly name: string;
  /** By round; null where it was not run, or its audit fails. */
  readonly rounds: readonly (RunReport | null)[];
  /** Of any round, for its settings. */
  readonly sample: RunReport;
  readonly failed: number;
}

/** The runs of each name, by round. */
export function groupsOf({ runs, rounds }: LoadReport): readonly Group[] {
  return [...Map.groupBy(runs, ({ name }) => name)].map(([name, own]) => ({
    name, sample: own[0]!, failed: own.filter(auditFails).length,
    rounds: Array.from({ length: Math.max(rounds, ...own.map(({ round }) => round + 1)) }, (_, i) => own.find((run) => run.round === i && !auditFails(run)) ?? null),
  }));
}

export function spreadOf(values: readonly number[]): Spread | null {
  const sorted = values.filter(Number.isFinite).sort((a, b) => a - b);
  if (sorted.length === 0) return null;
  const middle = (sorted.length - 1) / 2;
  const median = (sorted[Math.floor(middle)]! + sorted[Math.ceil(middle)]!) / 2;
  const [min, max] = [sorted[0]!, sorted.at(-1)!];
  return { median, min, max, spread: median === 0 ? 0 : (max - min) / median };
}

export function spreadOfMeasure({ rounds }: Group, measure: MeasureName): Spread | null {
  return spreadOf(rounds.flatMap((run) => (run === null ? [] : MEASURES[measure].of(run) ?? [])));
}

/**
 * Ratios of the same round, and then their median: a machine that drifts from round to round moves both sides of a ratio, and the ratio
 * of two medians of different rounds would take that for a difference. For this the configurations are run in turn.
 */
export function ratiosTo(base: Group, group: Group, measure: MeasureName): Spread | null {
  const { of } = MEASURES[measure];
  return spreadOf(group.rounds.flatMap((run, i) => {
    const other = base.rounds[i] ?? null;
    const [above, below] = [run === null ? null : of(run), other === null ? null : of(other)];
    return above === null || below === null || below === 0 ? [] : [above / below];
  }));
}

/** Throughput of the last configuration over that of the first; null where there are not two, or no round of both. */
export function compareRatio(report: LoadReport): Spread | null {
  const groups = groupsOf(report);
  return groups.length < 2 ? null : ratiosTo(groups[0]!, groups.at(-1)!, 'perSecond');
}

/**
 * @param chosen a name; else the local transaction of the same load, else the first of all
 * @throws {ReportError} no run has that name
 */
export function baseFor(group: Group, groups: readonly Group[], chosen: string | null): Group {
  if (chosen === null) return groups.find(({ sample }) => sample.settings.way === 'local' && isSameLoad(sample, group.sample)) ?? groups[0]!;
  const base = groups.find(({ name }) => name === chosen);
  if (base === undefined) throw new ReportError(`no run is called "${chosen}"; there are: ${groups.map(({ name }) => name).join('; ')}`);
  return base;
}

/** Rows of text: medians over the rounds with their range, and the ratios to the base. */
export function compareRows(report: LoadReport, chosen: string | null = null): { readonly header: readonly string[]; readonly rows: readonly (readonly string[])[] } {
  const groups = groupsOf(report);
  const bases = groups.map((group) => baseFor(group, groups, chosen));
  const isOneBase = new Set(bases).size === 1;
  const lines = baseLines(groups);
  return {
    header: ['median of rounds', 'rounds', 'per second', 'least-most', 'spread', 'x', 'least-most', ...lines.map(({ label }) => label), 'p50 ms', 'x', 'p99 ms', 'x', 'CPU ms/tx', 'x', ...(isOneBase ? [] : ['x of'])],
    rows: groups.map((group, i) => {
      const base = bases[i]!;
      const perSecond = spreadOfMeasure(group, 'perSecond');
      const perSecondRatio = ratiosTo(base, group, 'perSecond');
      return [
        group.name, roundsWord(group), figure(perSecond?.median ?? null), range(perSecond), percent(perSecond?.spread ?? null), figure(perSecondRatio?.median ?? null), range(perSecondRatio), ...lines.map(({ ratios }) => figure(ratios[i] ?? null)),
        ...(['p50', 'p99', 'cpuMs'] as const).flatMap((measure) => [figure(spreadOfMeasure(group, measure)?.median ?? null), figure(ratiosTo(base, group, measure)?.median ?? null)]),
        ...(isOneBase ? [] : [base.name]),
      ];
    }),
  };
}

/** Throughput over that of the monolith for as many clients, a column for each way of writing it that was measured. */
function baseLines(groups: readonly Group[]): readonly { readonly label: string; readonly ratios: readonly (number | null)[] }[] {
  return BASES.map(([label, way]) => ({
    label, ratios: groups.map((group) => {
      const base = groups.find(({ sample }) => sample.settings.way === way && isBaseFor(sample, group.sample));
      return base === undefined ? null : ratiosTo(base, group, 'perSecond')?.median ?? null;
    }),
  })).filter(({ ratios }) => ratios.some((ratio) => ratio !== null));
}

/**
 * @param base what the ratios are to; see `baseFor`
 * @throws {ReportError} no run has that name
 */
export function compareTable(report: LoadReport, base: string | null = null): string {
  const groups = groupsOf(report);
  if (groups.length === 0) return 'no runs';
  const { header, rows } = compareRows(report, base);
  const bases = new Set(groups.map((group) => baseFor(group, groups, base).name));
  return [
    ...table(header, rows),
    `x: ${bases.size === 1 ? `of ${[...bases][0]}` : 'of the base named last'}, worked out in each round; the median of these ratios`,
    ...restlessLines(report).map((line) => `! ${line}`),
  ].join('\n');
}

/** What a reader has to know about the medians. */
export function restlessLines(report: LoadReport): readonly string[] {
  const groups = groupsOf(report);
  const restless = groups.flatMap((group) => {
    const apart = COMPARED.flatMap((measure) => {
      const spread = spreadOfMeasure(group, measure)?.spread ?? 0;
      return spread > RESTLESS ? [`${MEASURES[measure].label} ${percent(spread)}`] : [];
    });
    return apart.length === 0 ? [] : [`${group.name}: spread over ${percent(RESTLESS)}: ${apart.join(', ')}`];
  });
  return [
    ...groups.filter(({ failed }) => failed > 0).map(({ name, failed, rounds }) => `${name}: the audit fails in ${failed} of ${rounds.length} rounds, which are left out`),
    ...restless,
    ...(restless.length === 0 ? [] : ['where the spread is that large, believe the ratios rather than the medians, and small differences not at all']),
  ];
}

function roundsWord({ rounds }: Group): string {
  const measured = rounds.filter((run) => run !== null).length;
  return measured === rounds.length ? String(measured) : `${measured} of ${rounds.length}`;
}

function range(spread: Spread | null): string {
  return spread === null ? '-' : `${figure(spread.min)}-${figure(spread.max)}`;
}
