/** A trace in sentences: the one wording that the transcript and the page share. */
import type { ProcessName, Trace, TraceEvent } from './trace.js';

export type EventOf<Kind extends TraceEvent['kind']> = Extract<TraceEvent, { readonly kind: Kind }>;
export type Send = EventOf<'send'>;

export interface Told {
  readonly event: TraceEvent;
  /** The process at which it happens; `client` and `network` for what happens at neither, '' for what concerns all. */
  readonly where: ProcessName;
  /** Short names (`t1`) of the transactions concerned; none: the event concerns all of them. */
  readonly transactions: readonly string[];
  readonly text: string;
}

/** What is known of a whole trace before its first line can be worded. */
export interface Index {
  readonly sends: ReadonlyMap<number, Send>;
  /** Ids of the copies that the network made. */
  readonly copies: ReadonlySet<number>;
  /** `t1`, `t2`, ... by transaction, in the order in which they appear. */
  readonly names: ReadonlyMap<string, string>;
}

export function indexOf(events: readonly TraceEvent[]): Index {
  const sends = new Map<number, Send>();
  const copies = new Set<number>();
  const names = new Map<string, string>();
  let previous: Send | null = null;
  for (const event of events) {
    if ('txid' in event && !names.has(event.txid)) names.set(event.txid, `t${names.size + 1}`);
    if (event.kind === 'send') {
      sends.set(event.id, event);
      if (previous !== null && isCopy(event, previous)) copies.add(event.id);
      previous = event;
    } else if (event.kind !== 'lose') {
      previous = null;
    }
  }
  return { sends, copies, names };
}

/** A machine sends a message once in a step: the same again at once is the network's doing. */
function isCopy(event: Send, previous: Send): boolean {
  return event.atMs === previous.atMs && event.sender === previous.sender && event.from === previous.from && event.receiver === previous.receiver
    && event.txid === previous.txid && event.text === previous.text;
}

export function narrate(events: readonly TraceEvent[], index: Index = indexOf(events)): Told[] {
  return events.map((event) => ({ event, where: placeOf(event, index), transactions: transactionsOf(event, index), text: sentence(event, index) }));
}

export function placeOf(event: TraceEvent, { sends }: Index): ProcessName {
  switch (event.kind) {
    case 'send': return event.from;
    case 'deliver': return sends.get(event.id)?.to ?? 'network';
    case 'client': return 'client';
    case 'lose': case 'cut': case 'join': return 'network';
    case 'heal': case 'violation': return '';
    default: return event.process;
  }
}

export function transactionsOf(event: TraceEvent, { sends, names }: Index): string[] {
  const name = (txid: string): string => names.get(txid) ?? txid;
  if ('txid' in event) return [name(event.txid)];
  if (event.kind === 'flush') return [...new Set(event.records.map(({ txid }) => name(txid)))];
  const send = event.kind === 'deliver' || event.kind === 'lose' ? sends.get(event.id) : undefined;
  return send === undefined ? [] : [name(send.txid)];
}

function sentence(event: TraceEvent, index: Index): string {
  switch (event.kind) {
    case 'send': return sent(event, index.copies.has(event.id));
    case 'deliver': return arrived(event, index.sends.get(event.id));
    case 'lose': return lost(event, index.sends.get(event.id));
    case 'step': return `${event.role} takes ${event.input}: ${event.before === event.after ? `still ${event.after}` : `${event.before} -> ${event.after}`}`;
    case 'flush': return flushed(event);
    case 'crash': return ['crashes', event.when, event.forGood ? 'for good' : ''].filter((words) => words !== '').join(' ');
    case 'restart': return 'starts again from what is durable';
    case 'take-over': return `takes the shard over (tenure ${event.tenure})`;
    case 'cut': return `cut: nothing from ${event.from.join(', ')} reaches ${event.to.join(', ')}`;
    case 'join': return 'whole again';
    case 'clock': return `the clock jumps by ${event.jumpMs > 0 ? '+' : ''}${millis(event.jumpMs)} ms`;
    case 'slow': return event.factor === 1 ? 'as fast as before' : `slow by a factor of ${millis(event.factor)}`;
    case 'client': return event.text;
    case 'answer': return `tells the client: ${event.outcome}`;
    case 'heal': return 'HEALED: no more faults, everything must end';
    case 'violation': return `VIOLATION ${event.text}`;
  }
}

function sent(send: Send, isACopy: boolean): string {
  return isACopy ? `the network doubles ${send.text} to ${receiverOf(send)}` : `${send.sender} sends ${send.text} to ${receiverOf(send)}`;
}

/** Names the process where a site has several. */
function receiverOf({ receiver, to }: Send): string {
  if (!to.includes('#')) return receiver;
  return to.startsWith(`${receiver}#`) ? to : `${receiver} at ${to}`;
}

function arrived(event: EventOf<'deliver'>, send: Send | undefined): string {
  return send === undefined ? `message ${event.id} arrives` : `${send.text} from ${send.sender} arrives after ${millis(event.atMs - send.atMs)} ms`;
}

const LOSSES: Readonly<Record<EventOf<'lose'>['why'], string>> = { loss: 'the network drops it', partition: 'partition', 'process down': 'the process is down' };

function lost(event: EventOf<'lose'>, send: Send | undefined): string {
  return `LOST (${LOSSES[event.why]}): ${send === undefined ? `message ${event.id}` : `${send.text} from ${send.sender} to ${receiverOf(send)}`}`;
}

function flushed({ records }: EventOf<'flush'>): string {
  const list = (refused: boolean): string => records.filter((each) => each.refused === refused).map(({ role, text }) => `${role} ${text}`).join('; ');
  return [['durable', list(false)], ['REFUSED by the store', list(true)]].filter(([, texts]) => texts !== '').map((words) => words.join(': ')).join('. ');
}

/** At most one decimal, and no trailing zero. */
export function millis(value: number): string {
  return String(Math.round(value * 10) / 10);
}

/** Gathers a run's events. */
export function recorder(): { readonly events: TraceEvent[]; readonly trace: Trace } {
  const events: TraceEvent[] = [];
  return { events, trace: (event) => void events.push(event) };
}
