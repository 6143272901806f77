import type { Txid } from '#libs/protocol';

/** Before every txid. */
export const NIL_UUID = '00000000-0000-0000-0000-000000000000';

/** Largest time that a txid can carry: 48 bits of milliseconds. */
const LAST_MS = 2 ** 48 - 1;

/** The smallest uuid of that millisecond. Txids begin with their time, so a range of time is a range of the primary key. */
export function firstUuidAt(atMs: number): string {
  const time = Math.min(Math.max(Math.ceil(atMs), 0), LAST_MS).toString(16).padStart(12, '0');
  return `${time.slice(0, 8)}-${time.slice(8)}-0000-0000-000000000000`;
}

/** The smallest and the greatest of one or more. */
export function txidBounds(txids: readonly Txid[]): readonly [Txid, Txid] {
  let [first, last] = [txids[0]!, txids[0]!];
  for (const txid of txids) {
    if (txid < first) first = txid;
    else if (txid > last) last = txid;
  }
  return [first, last];
}

/** The millisecond that a uuid of ours begins with. */
export function timeOfUuid(uuid: string): number {
  return Number.parseInt(uuid.slice(0, 8) + uuid.slice(9, 13), 16);
}
