import { randomUUID } from 'node:crypto';

/**
 * A UUID of version 7 (RFC 9562 section 5.7): 48 bits of milliseconds, then 74 random ones. Keys made one after the other lie side by
 * side in the coordinator's index, which is therefore written at its right edge instead of all over.
 */
export function timeOrderedKey(nowMs = Date.now()): string {
  const time = nowMs.toString(16).padStart(12, '0');
  // A version 4 UUID has the variant where it must be; its version digit is at 14.
  return `${time.slice(0, 8)}-${time.slice(8)}-7${randomUUID().slice(15)}`;
}
