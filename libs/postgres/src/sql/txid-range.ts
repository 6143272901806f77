/** Largest time that a txid can carry: 48 bits of milliseconds. */
const LAST_MS = 2 ** 48 - 1;

/** The smallest uuid of that millisecond. Txids begin with their time, so a range of time is a range of the primary key. */
export function firstUuidAt(atMs: number): string {
  const time = Math.min(Math.max(Math.ceil(atMs), 0), LAST_MS).toString(16).padStart(12, '0');
  return `${time.slice(0, 8)}-${time.slice(8)}-0000-0000-000000000000`;
}
