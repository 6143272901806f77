import type { ClosedLoopResult } from './closed-loop.js';
import type { ProtocolName } from '#libs/protocol';

export interface LoadRun {
  readonly way: `concordat ${ProtocolName}, ${'one' | 'gathered'}` | 'local transaction';
  readonly result: ClosedLoopResult;
}

/** A table for people: one line a run, and the ratio to the local transaction of the same concurrency. */
export function renderTable(runs: readonly LoadRun[]): string {
  const header = ['clients', 'way', 'per second', 'of local', 'p50 ms', 'p95 ms', 'p99 ms', 'aborted', 'unknown', 'cores'];
  const rows = runs.map(({ way, result: r }) => [
    String(r.concurrency), way, r.perSecond.toFixed(0), ratio(runs, way, r), r.latencyMs.p50.toFixed(1), r.latencyMs.p95.toFixed(1), r.latencyMs.p99.toFixed(1),
    String(r.endings.aborted), String(r.endings.unknown), Object.entries(r.cores).map(([name, cores]) => `${name} ${cores.toFixed(2)}`).join(', '),
  ]);
  const widths = header.map((title, i) => Math.max(title.length, ...rows.map((row) => row[i]!.length)));
  const line = (cells: readonly string[]): string => cells.map((cell, i) => (i === 1 || i === 9 ? cell.padEnd(widths[i]!) : cell.padStart(widths[i]!))).join('  ').trimEnd();
  return [line(header), ...rows.map(line)].join('\n');
}

function ratio(runs: readonly LoadRun[], way: LoadRun['way'], result: ClosedLoopResult): string {
  const local = runs.find((run) => run.way === 'local transaction' && run.result.concurrency === result.concurrency);
  return way === 'local transaction' || local === undefined ? '' : `${((result.perSecond / local.result.perSecond) * 100).toFixed(0)} %`;
}
