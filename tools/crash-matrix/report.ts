import { renderTable } from '../start/table.ts';
import type { CellResult, Verdict } from './cell.ts';
import type { Cell, Plan } from './plan.ts';

export interface MatrixReport {
  readonly cells: number;
  readonly counts: Readonly<Record<Verdict, number>>;
  readonly seconds: number;
  readonly neverReached: readonly string[];
  readonly unlisted: readonly string[];
  readonly results: readonly CellResult[];
}

const VERDICTS: readonly Verdict[] = ['passed', 'violated', 'did not end', 'not reached'];

export function reportOf(results: readonly CellResult[], plan: Plan, ms: number): MatrixReport {
  const count = (verdict: Verdict): number => results.filter((result) => result.verdict === verdict).length;
  return {
    cells: results.length,
    counts: Object.fromEntries(VERDICTS.map((verdict) => [verdict, count(verdict)])) as Record<Verdict, number>,
    seconds: Math.round(ms / 100) / 10,
    neverReached: plan.neverReached,
    unlisted: plan.unlisted,
    results,
  };
}

export function describeCell({ point, protocol, scenario, victim, mode, nth }: Cell): string {
  return `${protocol.padEnd(12)} ${`${point}${nth === 1 ? '' : `#${nth}`}`.padEnd(52)} ${mode.padEnd(8)} ${victim.padEnd(13)} ${scenario}`;
}

/** By protocol and role: how many cells of which verdict; then what is not as it should be. */
export function renderReport(report: MatrixReport): string {
  const groups = [...new Set(report.results.map(({ cell }) => `${cell.protocol}\0${cell.role}\0${cell.mode}`))];
  const rows = groups.map((group) => {
    const [protocol, role, mode] = group.split('\0') as [string, string, string];
    const own = report.results.filter(({ cell }) => cell.protocol === protocol && cell.role === role && cell.mode === mode);
    const recovered = own.flatMap(({ recoveredMs }) => (recoveredMs === null ? [] : [recoveredMs])).sort((a, b) => a - b);
    const at = (share: number): string => (recovered.length === 0 ? '-' : `${(recovered[Math.min(recovered.length - 1, Math.floor(share * recovered.length))]! / 1000).toFixed(1)} s`);
    return [protocol, role, mode, ...VERDICTS.map((verdict) => String(own.filter((result) => result.verdict === verdict).length)), at(0.5), at(1)];
  });
  return [
    renderTable(['protocol', 'role', 'afterwards', ...VERDICTS, 'recovered, median', 'longest'], rows),
    '',
    ...report.results.filter(({ verdict }) => verdict !== 'passed').map(({ cell, verdict, detail }) => `${verdict}: ${describeCell(cell)}${detail === '' ? '' : `\n    ${detail}`}`),
    ...list('Reached, but not in the list of crash points', report.unlisted),
    ...list('In no scenario reached', report.neverReached),
    `${report.cells} cells in ${report.seconds} s: ${VERDICTS.map((verdict) => `${report.counts[verdict]} ${verdict}`).join(', ')}`,
  ].join('\n');
}

function list(title: string, names: readonly string[]): readonly string[] {
  return names.length === 0 ? [] : [`${title} (${names.length}): ${names.join(', ')}`];
}
