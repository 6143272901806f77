import type { Txid } from '../txid.js';
import type { SagaRetry } from './types.js';

/**
 * How long to wait before a message is repeated: `firstMs` after the first attempt (0), twice as long after each further one, at most
 * `maxMs`; less up to a half of it, so that sagas which failed together do not come back together. The part that is taken off is a
 * hash of its arguments: a machine takes no chance of its own, and a replayed run waits as long as the first one did.
 */
export function retryDelayMs(txid: Txid, step: string, attempt: number, { firstMs, maxMs }: SagaRetry): number {
  const full = Math.min(firstMs * 2 ** attempt, maxMs);
  return Math.round(full - (full / 2) * unitHash(txid, '/', step, '/', String(attempt)));
}

/** 32-bit FNV-1a of the text that the parts make together, mixed so that texts which differ in their last letter are far apart (murmur3's last step), as a fraction of 1. */
function unitHash(...parts: readonly string[]): number {
  let hash = 0x811c9dc5;
  for (const text of parts) for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return ((hash ^ (hash >>> 16)) >>> 0) / 2 ** 32;
}
