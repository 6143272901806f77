import type { TimelineEvent } from '#libs/runtime';

/** Stored without property names: a timeline is most of what a transaction writes. */
export type StoredEvent = readonly [atMs: number, type: TimelineEvent['type'], name: string, from: string, to: string, branch: number | null, detail: string | null];

export function encodeTimeline(events: readonly TimelineEvent[]): string {
  return JSON.stringify(events.map((e): StoredEvent => [e.atMs, e.type, e.name, e.from, e.to, e.branch ?? null, e.detail ?? null]));
}

/** In order of time, whichever clock it was; at the same time, in the order of the rows that carried the events. */
export function decodeTimeline(stored: readonly StoredEvent[]): readonly TimelineEvent[] {
  return stored.toSorted((a, b) => a[0] - b[0]).map(([atMs, type, name, from, to, branch, detail]) => ({
    atMs, type, name, from, to, ...(branch === null ? {} : { branch }), ...(detail === null ? {} : { detail }),
  }));
}
