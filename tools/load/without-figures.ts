import { build, encodeIntoCompressedBase64 } from 'hdr-histogram-js';
import { latencyOf } from './merge.ts';
import type { RunReport } from './report-types.ts';

/** What may be told of a run whose books do not balance: what it was, and what is wrong. Its figures would be those of something else. */
export function withoutFigures(run: RunReport): RunReport {
  const histogram = encodeIntoCompressedBase64(build({ lowestDiscernibleValue: 1, highestTrackableValue: 120_000_000, numberOfSignificantValueDigits: 3 }));
  const { name, settings, round, startedAt, audit } = run;
  return {
    name, settings, round, startedAt, audit, histogram, latency: latencyOf(histogram), endings: { committed: 0, aborted: 0, refused: 0, unknown: 0, shed: 0 }, reasons: {}, perSecond: 0, bySecond: [],
    latestStartMs: 0, phases: null, processes: [], cost: null,
  };
}
