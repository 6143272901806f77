/** The smallest uuid that begins with that millisecond: txids do, so a range of time is a range of the primary key. */
export function firstUuidAt(atMs: number): string {
  const time = Math.ceil(atMs).toString(16).padStart(12, '0');
  return `${time.slice(0, 8)}-${time.slice(8)}-0000-0000-000000000000`;
}
