import type { TimelineEvent } from '#libs/runtime';

/**
 * A timeline is most of what a transaction writes: stored as text on one line, in which only what differs from event to event is said.
 *
 *   <start, ms in base 36>\t<self>{\v<type>\t<ms since the event before>\t<name>\t<other side>\t<branch>\t<detail>}
 *
 * where the type is a letter, the other side of a record is the store, and what is missing is empty. Events that do not fit in make it JSON.
 */
const LETTERS = { record: 'r', send: 's', receive: 'v' } as const;
const TYPES: Readonly<Record<string, TimelineEvent['type']>> = { r: 'record', s: 'send', v: 'receive' };
/** What must not stand in the text as it is: separators, the line break that ends it, the zero character that Postgres refuses. */
const CONTROL = /\p{Cc}/u;

export function encodeTimeline(events: readonly TimelineEvent[]): string {
  const [first] = events;
  if (first === undefined) return '[]';
  const self = first.type === 'receive' ? first.to : first.from;
  let text = `${first.atMs.toString(36)}\t${self}`;
  let before = first.atMs;
  for (const { type, atMs, name, from, to, branch, detail } of events) {
    const [here, other] = type === 'receive' ? [to, from] : [from, to];
    const isFit = here === self && detail !== '' && (type === 'record' ? to === 'store' : !CONTROL.test(other)) && (detail === undefined || !CONTROL.test(detail)) && Number.isInteger(atMs);
    if (!isFit) return JSON.stringify(events);
    text += `\v${LETTERS[type]}\t${atMs - before}\t${name}\t${type === 'record' ? '' : other}\t${branch ?? ''}\t${detail ?? ''}`;
    before = atMs;
  }
  return text;
}

/** Of a transaction's rows; in order of time, whichever clock it was; at the same time, in the order of the rows that carried the events. */
export function decodeTimeline(stored: readonly string[]): readonly TimelineEvent[] {
  return stored.flatMap(decode).toSorted((a, b) => a.atMs - b.atMs);
}

function decode(stored: string): readonly TimelineEvent[] {
  if (stored.startsWith('[')) return JSON.parse(stored) as readonly TimelineEvent[];
  const [header, ...events] = stored.split('\v');
  const [start, self] = header!.split('\t') as [string, string];
  let atMs = Number.parseInt(start, 36);
  return events.map((event) => {
    const [letter, sinceMs, name, other, branch, detail] = event.split('\t') as [string, string, string, string, string, string];
    const type = TYPES[letter]!;
    atMs += Number(sinceMs);
    const [from, to] = type === 'record' ? [self, 'store'] : type === 'send' ? [self, other] : [other, self];
    return { atMs, type, name, from, to, ...(branch === '' ? {} : { branch: Number(branch) }), ...(detail === '' ? {} : { detail }) };
  });
}
