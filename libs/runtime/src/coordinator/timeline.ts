import type { Envelope, ProtocolMessage } from '#libs/protocol';
import type { Spec, TimelineEvent } from '../ports.js';
import { branchOf, detailOf, receiverOf, senderOf } from './describe.js';
import type { DurableRecord } from './protocols/protocol.js';

/** Repetitions of a transaction that waits for days must not fill the memory: beyond this only records are noted, and beyond that only its end. */
const MAX_EVENTS = 200;
const MAX_RECORDS = 400;

/**
 * What happened to one transaction in this process. Each durable row takes what happened since the one before, so readers
 * put the rows' timelines one after the other.
 */
export class Timeline {
  private readonly list: TimelineEvent[] = [];
  private saved = 0;
  private offered = 0;

  constructor(private readonly self: string) {}

  get events(): readonly TimelineEvent[] {
    return this.list;
  }

  /** For the next durable row. */
  offer(): readonly TimelineEvent[] {
    this.offered = this.list.length;
    return this.list.slice(this.saved);
  }

  /** What was offered last is durable. */
  markSaved(): void {
    this.saved = this.offered;
  }

  record({ to, name, detail }: DurableRecord, atMs: number): void {
    if (name === null || (to === 'progress' && this.list.length >= MAX_RECORDS)) return;
    const event = { atMs, type: 'record', name, from: this.self, to: 'store' } as const;
    this.list.push(detail === null ? event : { ...event, detail });
  }

  sent(envelope: Envelope<ProtocolMessage>, atMs: number): void {
    if (this.list.length >= MAX_EVENTS) return;
    this.message('send', envelope.message, this.self, receiverOf(envelope), branchOf(envelope.message, true), atMs);
  }

  received(message: ProtocolMessage, spec: Spec, atMs: number): void {
    if (this.list.length >= MAX_EVENTS) return;
    this.message('receive', message, senderOf(message, spec), this.self, branchOf(message), atMs);
  }

  private message(type: 'send' | 'receive', message: ProtocolMessage, from: string, to: string, branch: number | undefined, atMs: number): void {
    const detail = detailOf(message);
    const event: { -readonly [Key in keyof TimelineEvent]: TimelineEvent[Key] } = { atMs, type, name: message.kind, from, to };
    if (branch !== undefined) event.branch = branch;
    if (detail !== null) event.detail = detail;
    this.list.push(event);
  }
}
