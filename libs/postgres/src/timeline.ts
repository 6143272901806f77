import type { TimelineEvent } from '#libs/runtime';

/** Stored without property names: a timeline is most of what a transaction writes. */
export type StoredEvent = readonly [atMs: number, type: TimelineEvent['type'], name: string, from: string, to: string, branch: number | null, detail: string | null];

export function encodeTimeline(events: readonly TimelineEvent[]): string {
  return JSON.stringify(events.map((e): StoredEvent => [e.atMs, e.type, e.name, e.from, e.to, e.branch ?? null, e.detail ?? null]));
}

export function decodeTimeline(stored: readonly StoredEvent[]): readonly TimelineEvent[] {
  return stored.map(([atMs, type, name, from, to, branch, detail]) => ({
    atMs, type, name, from, to, ...(branch === null ? {} : { branch }), ...(detail === null ? {} : { detail }),
  }));
}

/**
 * The parts that DECIDE and END have stored, as one in order of time. The part of END may repeat what the part of DECIDE has told (a
 * transaction that stayed in one memory) or begin after it (another owner ended it): equal events count as often as the
 * part that has more of them.
 */
export function mergeTimelines(parts: readonly (readonly StoredEvent[])[]): readonly TimelineEvent[] {
  const merged: StoredEvent[] = [];
  const counted = new Map<string, number>();
  for (const part of parts) {
    const seen = new Map<string, number>();
    for (const event of part) {
      const key = JSON.stringify(event);
      const times = (seen.get(key) ?? 0) + 1;
      seen.set(key, times);
      if (times > (counted.get(key) ?? 0)) merged.push(event);
    }
    for (const [key, times] of seen) counted.set(key, Math.max(times, counted.get(key) ?? 0));
  }
  return decodeTimeline(merged.toSorted((a, b) => a[0] - b[0]));
}
