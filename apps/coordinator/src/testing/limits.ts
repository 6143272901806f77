import { type BodyLimits, DOCUMENTED_LIMITS } from '../config.js';

/** For tests. */
export const LIMITS: BodyLimits = { ...DOCUMENTED_LIMITS, defaultTimeoutMs: 7_000, maxTimeoutMs: 60_000, maxSagaTimeoutMs: 600_000 };
