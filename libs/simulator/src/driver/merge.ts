import type { DriverSeedsResult } from './run.js';

/** The result of one slice of seeds after the other, as if it had been one. */
export function mergeDriverSeeds(one: DriverSeedsResult, other: DriverSeedsResult): DriverSeedsResult {
  const faults: Record<string, number> = { ...one.faults };
  for (const [name, times] of Object.entries(other.faults)) faults[name] = (faults[name] ?? 0) + times;
  return {
    runs: one.runs + other.runs, committed: one.committed + other.committed, aborted: one.aborted + other.aborted, faults,
    violations: [...one.violations, ...other.violations],
    slowestHealing: other.slowestHealing.ms > one.slowestHealing.ms ? other.slowestHealing : one.slowestHealing,
  };
}
