import { compareRatio } from './report-compare.ts';
import type { Table } from './report-rows.ts';
import type { LoadReport } from './report-types.ts';
import { count, figure } from '../report/numbers.ts';

/** Null: nothing was filled. */
export function stateTable(report: LoadReport): Table | null {
  const { state } = report;
  if (state === undefined) return null;
  const { finished, unfinished, fillSeconds, databaseMb, readySeconds, resumedSeconds, resumed } = state;
  const ratio = compareRatio(report);
  return {
    title: 'Scale of state', words: [0], header: ['of the filled store', ''],
    rows: [
      ['finished transactions in the tables', count(finished)],
      ['unfinished ones', count(unfinished)],
      ['filled in, seconds', figure(fillSeconds)],
      ['databases after that, MB', count(databaseMb)],
      ['services ready after, seconds', figure(readySeconds)],
      ['all unfinished ended after, seconds', figure(resumedSeconds)],
      ['of them committed', count(resumed.committed)],
      ['of them aborted', count(resumed.aborted)],
      ...(ratio === null ? [] : [['throughput, x the empty store', `${figure(ratio.median)} (${figure(ratio.min)}-${figure(ratio.max)})`]]),
    ],
  };
}
