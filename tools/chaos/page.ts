import { timeAxis } from '../report/axis.ts';
import { pageHtml, tableHtml } from '../report/html.ts';
import { type Band, type Line, type Plot, plotSvg } from '../report/plot.ts';
import { escapeXml, styleOf } from '../report/svg.ts';
import { type ChaosReport, faultLines, outcomesOf } from './report.ts';
import { describeFault } from './schedule.ts';

const seconds = (ms: number | null): string => (ms === null ? '-' : `${(ms / 1000).toFixed(1)} s`);

/** The report as a page of its own. */
export function renderHtml(report: ChaosReport): string {
  const { violations, faults } = report;
  const endMs = Math.max(report.seconds.length * 1000, ...report.memory.map(({ atMs }) => atMs));
  const bands = faults.map(({ fault, beganMs, endedMs }): Band => ({ fromMs: beganMs, toMs: endedMs, label: String(fault.n), title: `${fault.n}: ${describeFault(fault)}` }));
  return pageHtml(`Chaos, seed ${report.seed}`, [
    `<h1>Chaos, seed ${report.seed} <span class="verdict ${violations.length === 0 ? 'good' : 'bad'}">${violations.length} violations</span></h1>`,
    `<p class="facts">${escapeXml(report.startedAt)}; ${report.minutes} minutes at ${report.ratePerSecond}/s of ${escapeXml(Object.keys(report.protocols).join(', '))}; replay: <code>npm run chaos -- --seed ${report.seed} --minutes ${report.minutes} --rate ${report.ratePerSecond}</code></p>`,
    `<p>${faults.length} faults; ${report.transactions.total} transactions; answers lost at first and found out: ${report.traffic.followedUp}; longest in doubt ${seconds(report.longestInDoubtMs)}; at rest ${seconds(report.drainMs)} after the load.</p>`,
    ...plots(report).map((plot) => plotSvg(plot, timeAxis(endMs), bands)),
    '<h2>Violations</h2>', violationsHtml(report),
    '<h2>Checks</h2>', tableHtml(['check', '', 'found'], report.checks.map(({ name, ok, detail }) => [name, ok ? 'holds' : 'BROKEN', detail]), [0, 1, 2]),
    '<h2>Transactions in the tables</h2>', outcomesHtml(report.transactions.byProtocol),
    '<h2>What clients were told</h2>', outcomesHtml(report.traffic.told),
    '<h2>Faults</h2>', tableHtml(['', 'at', 'fault', 'fewest answers', 'back since its beginning', 'since its end'], faultLines(report), [2]),
    ...(report.unaskedEnds.length === 0 ? [] : ['<h2>Processes that ended by themselves</h2>', ...report.unaskedEnds.map((end) => `<p>${escapeXml(`${end.process}, ${end.how}${end.wasReady ? '' : ', while it was starting'}`)}</p><pre>${escapeXml(end.lastLines.join('\n'))}</pre>`)]),
  ]);
}

function plots({ seconds: all, doubt, memory }: ChaosReport): readonly Plot[] {
  const ending = (...names: readonly string[]): Line['points'] => all.map(({ endings }, i) => [i * 1000 + 500, names.reduce((sum, name) => sum + (endings[name] ?? 0), 0)]);
  const of = (pick: 'p50' | 'p99'): Line['points'] => all.map((second, i) => [i * 1000 + 500, second[pick]]);
  const names = [...new Set(memory.flatMap(({ megabytes }) => Object.keys(megabytes)))];
  return [
    {
      title: 'Answers per second', unit: '/s', kind: 'stack', scale: 'linear',
      lines: [
        { name: 'committed', style: 'good', points: ending('committed', 'completed') }, { name: 'aborted', style: 'warn', points: ending('aborted', 'compensated') },
        { name: 'not taken', style: 's4', points: ending('not-taken') }, { name: 'lost, asked again', style: 'bad', points: ending('unknown') },
      ],
    },
    { title: 'Milliseconds from the intended start to the certain answer', unit: 'ms', kind: 'lines', scale: 'log', lines: [{ name: 'p50', style: 's0', points: of('p50') }, { name: 'p99', style: 's1', points: of('p99') }] },
    { title: 'Oldest branch in doubt', unit: 's', kind: 'lines', scale: 'linear', lines: [{ name: 'seconds', style: 's3', points: doubt.map(({ atMs, oldestMs }) => [atMs, oldestMs / 1000]) }] },
    { title: 'Branches in doubt', unit: '', kind: 'lines', scale: 'linear', lines: [{ name: 'branches', style: 's2', points: doubt.map(({ atMs, count }) => [atMs, count]) }] },
    { title: 'Resident memory', unit: 'MB', kind: 'lines', scale: 'linear', lines: names.map((name, i) => ({ name, style: styleOf(i), points: memory.map(({ atMs, megabytes }) => [atMs, megabytes[name] ?? null] as const) })) },
  ];
}

function violationsHtml({ violations, evidence }: ChaosReport): string {
  if (violations.length === 0) return '<p>None.</p>';
  return [
    tableHtml(['rule', 'transaction', 'what'], violations.map(({ check, txid, what }) => [check, txid ?? '', what]), [0, 1, 2]),
    ...Object.entries(evidence).map(([txid, facts]) => `<details><summary>${escapeXml(txid)}</summary><pre>${escapeXml(JSON.stringify(facts, null, 1))}</pre></details>`),
  ].join('\n');
}

function outcomesHtml(byProtocol: Readonly<Record<string, Readonly<Record<string, number>>>>): string {
  const protocols = Object.keys(byProtocol);
  return tableHtml(['', ...protocols], outcomesOf(byProtocol).map((outcome) => [outcome, ...protocols.map((protocol) => String(byProtocol[protocol]![outcome] ?? 0))]));
}
