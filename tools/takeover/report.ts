import { renderTable } from '../start/table.ts';
import type { Role, TakeoverOptions } from './options.ts';
import type { Joining, Takeover } from './rounds.ts';

type InvariantReport = import('#libs/postgres').InvariantReport;

export interface RoleReport {
  readonly role: Role;
  readonly kills: readonly Takeover[];
  readonly stops: readonly Takeover[];
  readonly joins: readonly Joining[];
}

export interface Report {
  readonly options: TakeoverOptions;
  readonly sessionTimeoutMs: number;
  readonly heartbeatMs: number;
  readonly roles: readonly RoleReport[];
  readonly answers: number;
  readonly audit: InvariantReport;
}

export interface Spread {
  readonly min: number;
  readonly median: number;
  readonly max: number;
}

export function spreadOf(values: readonly number[]): Spread | null {
  if (values.length === 0) return null;
  const sorted = values.toSorted((a, b) => a - b);
  const middle = (sorted.length - 1) / 2;
  return { min: sorted[0]!, median: Math.round((sorted[Math.floor(middle)]! + sorted[Math.ceil(middle)]!) / 2), max: sorted.at(-1)! };
}

const TAKEOVER_ROWS: readonly (readonly [string, (each: Takeover) => number | null])[] = [
  ['until the group misses it (detection)', (t) => t.detectedMs],
  ['until its partitions are handed out', (t) => t.reassignedMs],
  ['until its shards have a new epoch', (t) => t.acquiredMs],
  ['until the first new decision on them', (t) => t.firstDecisionMs],
  ['of that, not detection', (t) => Math.max(0, t.firstDecisionMs - t.detectedMs)],
  ['until all that was unfinished is decided', (t) => t.allDecidedMs],
  ['longest pause on its shards', (t) => t.pauseMs],
  ['slowest client', (t) => t.clients.slowestMs],
];

/** For people. */
export function reportText(report: Report): string {
  const { audit } = report;
  return [
    `session timeout ${report.sessionTimeoutMs} ms, heartbeat ${report.heartbeatMs} ms, ${report.options.rate} transactions per second offered`,
    ...report.roles.flatMap(({ role, kills, stops, joins }) => [
      ...(kills.length === 0 ? [] : ['', `${role}: killed with -9, ${kills.length} times${report.options.restartAtOnce ? ', started again at once' : ''} (ms)`, table(kills, TAKEOVER_ROWS), clientsOf(kills)]),
      ...(stops.length === 0 ? [] : ['', `${role}: stopped with SIGTERM, ${stops.length} times (ms)`, table(stops, [...TAKEOVER_ROWS, ['until the process is gone', (t) => t.exitedMs]]), clientsOf(stops)]),
      ...(joins.length === 0 ? [] : ['', `${role}: added beside the other, ${joins.length} times (ms); shares ${[...new Set(joins.map(({ shares }) => shares.join(' + ')))].join(', ')}`, table(joins, [
        ['rebalance', (j) => j.rebalanceMs], ['longest pause of all decisions', (j) => j.pauseMs], ['slowest client', (j) => j.clients.slowestMs],
      ]), clientsOf(joins)]),
    ]),
    '',
    `audit: ${audit.ok ? 'everything holds' : 'VIOLATIONS'}; ${audit.transactions.total} transactions, ${audit.transactions.committed} committed, ${audit.transactions.aborted} aborted, ${report.answers} answers compared`,
    ...audit.checks.filter(({ ok }) => !ok).map(({ name, detail }) => `  ${name}: ${detail}`),
  ].join('\n');
}

function table<T>(rounds: readonly T[], rows: readonly (readonly [string, (each: T) => number | null])[]): string {
  return renderTable(['', 'min', 'median', 'max'], rows.flatMap(([name, value]) => {
    const spread = spreadOf(rounds.map(value).filter((each) => each !== null));
    return spread === null ? [] : [[name, String(spread.min), String(spread.median), String(spread.max)]];
  }));
}

function clientsOf(rounds: readonly { readonly clients: Takeover['clients'] }[]): string {
  const sum = (value: (clients: Takeover['clients']) => number): number => rounds.reduce((total, { clients }) => total + value(clients), 0);
  const aborted: Record<string, number> = {};
  for (const { clients } of rounds) for (const [code, count] of Object.entries(clients.aborted)) aborted[code] = (aborted[code] ?? 0) + count;
  const codes = Object.entries(aborted).map(([code, count]) => `${count} ${code}`).join(', ');
  return `clients meanwhile: ${sum((c) => c.calls)} calls, ${sum((c) => c.lostAtFirst)} answers lost and found again, ${sum((c) => c.refusedAtFirst)} not taken at first, aborted ${codes || 'none'}`;
}
