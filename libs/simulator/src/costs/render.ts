/** The cost table for people, and for docs/costs.md. */
import { LAYOUTS, type LayoutName } from './layout.js';
import { markdownTable } from './markdown.js';
import type { Cost } from './measure.js';
import type { CostRow } from './table.js';

const TITLES: Readonly<Record<LayoutName, string>> = {
  'apart': 'Not co-located: every role on a node of its own',
  'leader-accepts': 'Not co-located, but acceptor 0 on the leader\'s node',
  'co-located': 'Co-located: client, coordinator and participant 0 on one node, acceptor j with participant j',
};

/** One table of messages for each layout, by protocol and N, then one of everything else. Markdown that reads well as plain text. */
export function renderCosts(rows: readonly CostRow[]): string {
  const messages = LAYOUTS.flatMap((layout) => [`### ${TITLES[layout]}`, '', ...messageTable(rows.filter((row) => row.layout === layout)), '']);
  const details = detailTable(rows.filter(({ participants }) => participants === 5));
  return ['## Messages', '', ...messages, '## Delays, writes, and what the formulas leave out (N = 5)', '', ...details, ''].join('\n');
}

/** The rows whose run differs from its formula, one line each. */
export function renderDifferences(rows: readonly CostRow[]): string[] {
  const figures = ({ messages, delays, writes }: Cost): string => `${messages} messages, ${delays} delays, ${writes} writes`;
  return rows.filter(({ equal }) => !equal).map(({ protocol, layout, participants, measured, formula }) =>
    `${protocol}, ${layout}, N = ${participants}: the run took ${figures(measured)}, the formula says ${figures(formula)}`);
}

function messageTable(rows: readonly CostRow[]): string[] {
  const sizes = [...new Set(rows.map(({ participants }) => participants))];
  const names = [...new Set(rows.map(({ protocol }) => protocol))];
  const body = names.map((name) => [name, ...sizes.map((n) => cell(rows.find((row) => row.protocol === name && row.participants === n)!))]);
  return markdownTable(['protocol', ...sizes.map((n) => `N=${n}`)], body);
}

function cell({ equal, measured, formula }: CostRow): string {
  return equal ? `${measured.messages}` : `${measured.messages} (formula ${formula.messages})`;
}

function detailTable(rows: readonly CostRow[]): string[] {
  const body = rows.map(({ protocol, layout, measured: m, equal }) => [
    protocol, layout, m.messages, m.delays, m.writes, equal ? 'yes' : 'NO', m.delaysToAnswer, m.messagesAfter, m.writesOfRequest, m.writesAfter,
  ].map(String));
  return markdownTable(
    ['protocol', 'layout', 'messages', 'delays', 'writes', 'as the formulas', 'delays to the answer', 'messages after', 'writes of the request', 'writes after'],
    body,
  );
}
