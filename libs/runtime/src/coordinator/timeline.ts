import type { Envelope, ProtocolMessage } from '#libs/protocol';
import type { Spec, TimelineEvent } from '../ports.js';
import { branchOf, detailOf, receiverOf, senderOf } from './describe.js';
import type { DurableRecord } from './protocols/protocol.js';

/** Repetitions of a transaction that waits for days must not fill the memory: beyond this only records are noted, and beyond that only its end. */
const MAX_EVENTS = 200;
const MAX_RECORDS = 400;

type EventType = TimelineEvent['type'];

/** Fields of an event in the list: its type, name, the other side, branch, detail, and when it was, less `sinceMs`. */
const FIELDS = 6;
type Field = string | number | null | undefined;

/**
 * What happened to one transaction in this process. Each durable row takes what happened since the one before, so readers
 * put the rows' timelines one after the other. Most transactions have some fifteen events, which live as long as they do and are
 * looked at once: so they are fields in one array, and objects when they are read.
 */
export class Timeline {
  private readonly list: Field[] = [];
  private saved = 0;
  private offered = 0;

  /** @param sinceMs what times are kept as differences to: small numbers need no room of their own */
  constructor(private readonly self: string, private readonly sinceMs: number) {}

  get events(): readonly TimelineEvent[] {
    return this.from(0);
  }

  /** For the next durable row. */
  offer(): readonly TimelineEvent[] {
    this.offered = this.list.length;
    return this.from(this.saved);
  }

  /** What was offered last is durable. */
  markSaved(): void {
    this.saved = this.offered;
  }

  record({ to, name, detail }: DurableRecord, atMs: number): void {
    if (to === 'progress' && this.list.length >= MAX_RECORDS * FIELDS) return;
    this.list.push('record', name, 'store', undefined, detail, atMs - this.sinceMs);
  }

  sent(envelope: Envelope<ProtocolMessage>, atMs: number): void {
    if (this.list.length >= MAX_EVENTS * FIELDS) return;
    const { message } = envelope;
    this.list.push('send', message.kind, receiverOf(envelope), branchOf(message, true), detailOf(message), atMs - this.sinceMs);
  }

  received(message: ProtocolMessage, spec: Spec, atMs: number): void {
    if (this.list.length >= MAX_EVENTS * FIELDS) return;
    this.list.push('receive', message.kind, senderOf(message, spec), branchOf(message), detailOf(message), atMs - this.sinceMs);
  }

  private from(start: number): readonly TimelineEvent[] {
    const events: TimelineEvent[] = [];
    for (let at = start; at < this.list.length; at += FIELDS) events.push(this.event(at));
    return events;
  }

  private event(at: number): TimelineEvent {
    const { list, self } = this;
    const type = list[at] as EventType;
    const name = list[at + 1] as string;
    const other = list[at + 2] as string;
    const branch = list[at + 3] as number | undefined;
    const detail = list[at + 4] as string | null;
    const atMs = list[at + 5] as number + this.sinceMs;
    const from = type === 'receive' ? other : self;
    const to = type === 'receive' ? self : other;
    // Whole at once: what is added to an object later takes room beside it.
    if (branch !== undefined) return detail === null ? { atMs, type, name, from, to, branch } : { atMs, type, name, from, to, branch, detail };
    return detail === null ? { atMs, type, name, from, to } : { atMs, type, name, from, to, detail };
  }
}
