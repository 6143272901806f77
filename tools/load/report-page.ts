import { comparisonBars, costBars, outcomeBars, percentilePlot, phaseBars, processBars, shownRuns, timePlots } from './report-charts.ts';
import { compareRows, groupsOf, restlessLines } from './report-compare.ts';
import { auditFails, auditWord, BASES_SAID, cautions, labelled } from './report-figures.ts';
import { heldTable, rampPlots, rampTable } from './report-ramp.ts';
import { stateTable } from './report-state.ts';
import { auditTable, endingTable, hasBases, latencyTable, settingLines, settingsTable, summaryTable, type Table } from './report-rows.ts';
import type { LoadReport } from './report-types.ts';
import { pageHtml, tableHtml } from '../report/html.ts';
import { escapeXml } from '../report/svg.ts';

/** A page of its own. Of a run whose audit fails there are no figures on it, only what broke. */
export function renderReportPage(report: LoadReport): string {
  const shown = shownRuns(report);
  const ramp = rampTable(report);
  const held = heldTable(report);
  const state = stateTable(report);
  const [first] = report.runs;
  const title = report.knee !== undefined ? `ramp of ${rampName(report)}` : report.runs.length === 1 ? first!.name : `${groupsOf(report).length} configurations${report.rounds > 1 ? `, ${report.rounds} rounds` : ''}`;
  return pageHtml(`Load: ${title}`, [
    `<h1>Load: ${escapeXml(title)} ${verdict(report)}</h1>`,
    ...settingLines(report).map((line) => `<p class="facts">${escapeXml(line)}</p>`),
    ...failures(report),
    ...(state === null ? [] : tableSection(state)),
    ...(ramp === null ? [] : [...tableSection(ramp), ...rampPlots(report)]),
    ...(held === null ? [] : tableSection(held)),
    ...(report.rounds > 1 && shown.length > 0 ? comparison(report) : []),
    ...tableSection(summaryTable(report)),
    ...(hasBases(report) ? [`<p class="facts">${BASES_SAID}</p>`] : []),
    ...shown.flatMap(({ run, label }) => cautions(run).map((said) => `<p>&#9888; ${escapeXml(`${label}: ${said}`)}</p>`)),
    ...(shown.length === 0 ? [] : [
      '<h2>Latency</h2>', '<p class="facts">From the request (open loop: from its intended start) to the answer, of what committed or aborted.</p>', percentilePlot(shown), tableHtml(latencyTable(report).header, latencyTable(report).rows),
      '<h2>Over time</h2>', ...timePlots(shown),
      '<h2>Outcomes</h2>', outcomeBars(shown), tableHtml(endingTable(report).header, endingTable(report).rows),
      ...barSection('Where the time goes', phaseBars(shown), 'From the asking to the last acknowledgement, of a sample of the committed. Percentiles do not add up: a bar says where the time goes, the curve above how long it takes.'),
      ...barSection('Processes', processBars(shown), 'CPU time over the ended transactions of the measured time, the load generator included.'),
      ...barSection('Costs per transaction', costBars(shown), null),
    ]),
    ...tableSection(settingsTable(report)),
    ...tableSection(auditTable(report)),
  ]);
}

/** Of any step, without its rate. */
function rampName({ runs }: LoadReport): string {
  return runs[0]?.name.replace(/, \d+\/s/, '') ?? 'nothing';
}

function verdict({ runs }: LoadReport): string {
  const broken = runs.filter(auditFails).length;
  if (broken > 0) return `<span class="verdict bad">the audit fails${runs.length === 1 ? '' : ` in ${broken} of ${runs.length} runs`}</span>`;
  return runs.some((run) => auditWord(run) === 'not made') ? '<span class="verdict warn">not audited</span>' : '<span class="verdict good">the audit holds</span>';
}

function failures(report: LoadReport): readonly string[] {
  return labelled(report).filter(({ run }) => auditFails(run)).flatMap(({ run, label }) => [
    `<h2>${escapeXml(label)}: the audit fails, so there are no figures of it</h2>`,
    tableHtml(['check', 'found'], run.audit.filter(({ holds }) => !holds).map(({ name, detail }) => [name, detail]), [0, 1]),
  ]);
}

function comparison(report: LoadReport): readonly string[] {
  const { header, rows } = compareRows(report);
  return [
    '<h2>Medians of the rounds</h2>',
    '<p class="facts">x: of the local transaction under the same load (else of the first), worked out in each round, for the machine drifts between them; the median of these ratios.</p>',
    tableHtml(header, rows, header.at(-1) === 'x of' ? [0, header.length - 1] : [0]),
    ...restlessLines(report).map((line) => `<p>&#9888; ${escapeXml(line)}</p>`),
    side(comparisonBars(groupsOf(report))),
  ];
}

function tableSection({ title, header, rows, words }: Table): readonly string[] {
  return rows.length === 0 ? [] : [`<h2>${escapeXml(title)}</h2>`, tableHtml(header, rows, words)];
}

function barSection(title: string, bars: readonly string[], said: string | null): readonly string[] {
  if (bars.length === 0) return [];
  return [`<h2>${title}</h2>`, ...(said === null ? [] : [`<p class="facts">${said}</p>`]), side(bars)];
}

function side(plots: readonly string[]): string {
  return `<div class="side">${plots.join('\n')}</div>`;
}
