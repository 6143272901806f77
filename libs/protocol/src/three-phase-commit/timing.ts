import { backoffAt } from '../backoff.js';
import type { ResolverConfig } from './types.js';

/**
 * When an undecided site stands for election (again): exponential backoff, and a stagger by site number, so that of several
 * sites with the same silence one comes first, and rivals that met once meet ever less.
 */
export function resolveAtMs(sinceMs: number, attempt: number, site: number, config: ResolverConfig): number {
  return backoffAt(sinceMs, attempt, config.resolveAfterMs, config.maxResolveIntervalMs) + site * config.staggerMs;
}
