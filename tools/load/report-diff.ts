// Two reports, say of before and after a change.
import { groupsOf, type Group, type Spread, spreadOfMeasure } from './report-compare.ts';
import { type Measure, type MeasureName, MEASURES } from './report-figures.ts';
import type { LoadReport } from './report-types.ts';
import { figure } from '../report/numbers.ts';
import { table } from '../report/text.ts';

const COMPARED: readonly MeasureName[] = ['perSecond', 'p50', 'p95', 'p99', 'cpuMs', 'walBytes', 'kafkaBytes'];
/** Less is not told apart. */
const SAME = 0.005;

/** For people: what differs in how it was measured, then the runs of the same name, then those of one report only. */
export function diffReports(a: LoadReport, b: LoadReport): string {
  const [before, after] = [groupsOf(a), groupsOf(b)];
  const pairs = before.flatMap((one) => {
    const other = after.find(({ name }) => name === one.name);
    return other === undefined ? [] : [{ one, other }];
  });
  const alone = (own: readonly Group[], others: readonly Group[]): readonly string[] => own.map(({ name }) => name).filter((name) => others.every((other) => other.name !== name));
  const differences = [
    ...differing({ version: a.version, ...a.machine, ...a.environment, rounds: a.rounds }, { version: b.version, ...b.machine, ...b.environment, rounds: b.rounds }),
    ...pairs.flatMap(({ one, other }) => differing(flat(one.sample.settings), flat(other.sample.settings)).map((line) => `${one.name}: ${line}`)),
  ];
  const [onlyBefore, onlyAfter] = [alone(before, after), alone(after, before)];
  return [
    `before: ${a.at}; after: ${b.at}`,
    ...(differences.length === 0 ? ['the same machine and settings'] : ['NOT the same machine and settings:', ...differences.map((line) => `  ${line}`)]),
    ...pairs.flatMap(({ one, other }) => ['', one.name, ...pairLines(one, other)]),
    ...(pairs.length === 0 ? ['', 'no run is in both'] : []),
    ...(onlyBefore.length === 0 ? [] : ['', `only before: ${onlyBefore.join('; ')}`]),
    ...(onlyAfter.length === 0 ? [] : ['', `only after: ${onlyAfter.join('; ')}`]),
  ].join('\n');
}

function pairLines(one: Group, other: Group): readonly string[] {
  const broken = ([['before', one], ['after', other]] as const).filter(([, group]) => group.failed > 0);
  if (broken.length > 0) return broken.map(([when, group]) => `  AUDIT FAILS ${when}${group.rounds.length === 1 ? '' : ` in ${group.failed} of ${group.rounds.length} rounds`}: no figures`);
  const rows = COMPARED.flatMap((name) => {
    const [was, is] = [spreadOfMeasure(one, name), spreadOfMeasure(other, name)];
    if (was === null && is === null) return [];
    return [[MEASURES[name].label, figure(was?.median ?? null), figure(is?.median ?? null), change(was, is), verdict(MEASURES[name], was, is, hasRounds(one) || hasRounds(other))]];
  });
  return [
    ...table([hasRounds(one) || hasRounds(other) ? 'median' : '', 'before', 'after', 'change', ''], rows),
    ...(hasRounds(one) || hasRounds(other) ? [] : ['  one run each: how much comes from the machine is not known']),
  ];
}

function hasRounds({ rounds }: Group): boolean {
  return rounds.filter((run) => run !== null).length > 1;
}

function change(was: Spread | null, is: Spread | null): string {
  if (was === null || is === null || was.median === 0) return '-';
  const share = is.median / was.median - 1;
  return `${share > 0 ? '+' : ''}${(share * 100).toFixed(1)} %`;
}

/** With rounds, a difference counts when not one round of one side lies among those of the other. */
function verdict({ better }: Measure, was: Spread | null, is: Spread | null, rounds: boolean): string {
  if (was === null || is === null) return was === null ? 'not measured before' : 'not measured after';
  if (rounds && was.min <= is.max && is.min <= was.max) return 'within the spread';
  if (Math.abs(is.median - was.median) <= Math.abs(was.median) * SAME) return 'the same';
  return (is.median > was.median) === (better === 'more') ? 'better' : 'worse';
}

type Settings = Readonly<Record<string, string | number>>;

function differing(a: Settings, b: Settings): readonly string[] {
  const word = (value: string | number | undefined): string => (value === undefined ? 'not set' : String(value));
  return [...new Set([...Object.keys(a), ...Object.keys(b)])].filter((key) => a[key] !== b[key]).map((key) => `${key}: ${word(a[key])}, then ${word(b[key])}`);
}

/** `loop.clients` to its value, and so on. */
function flat(value: object, path: readonly string[] = []): Settings {
  return Object.fromEntries(Object.entries(value).flatMap(([key, inner]: [string, string | number | object]) => (
    typeof inner === 'object' ? Object.entries(flat(inner, [...path, key])) : [[[...path, key].join('.'), inner] as const]
  )));
}
