import type fc from 'fast-check';

/**
 * PROTOCOL_SEED replays a failure (with PROTOCOL_PATH, only its smallest case); PROTOCOL_RUNS searches longer. fast-check prints seed,
 * path and the smallest failing run.
 */
export function runParameters(numRuns: number): fc.Parameters<unknown> {
  const { PROTOCOL_SEED: seed, PROTOCOL_PATH: path, PROTOCOL_RUNS: runs } = process.env;
  return { numRuns: runs === undefined ? numRuns : Number(runs), ...(seed !== undefined && { seed: Number(seed) }), ...(path !== undefined && { path }) };
}
