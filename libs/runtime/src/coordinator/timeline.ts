import type { CoordinatorRecord, Envelope, Message, ProtocolMessage, TransactionSpec } from '#libs/protocol';
import type { TimelineEvent } from '../ports.js';

/** Repetitions of a transaction that waits for days must not fill the memory: beyond this only records are noted. */
const MAX_EVENTS = 200;

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

  record(record: CoordinatorRecord, atMs: number): void {
    const detail = detailOfRecord(record);
    this.list.push({ atMs, type: 'record', name: record.kind, from: this.self, to: 'store', ...(detail === null ? {} : { detail }) });
  }

  sent({ to, message }: Envelope<ProtocolMessage>, atMs: number): void {
    if (this.list.length >= MAX_EVENTS) return;
    const receiver = to.role === 'coordinator' ? 'coordinator' : to.name;
    this.list.push(this.event('send', message, this.self, receiver, atMs));
  }

  received(message: ProtocolMessage, spec: TransactionSpec, atMs: number): void {
    if (this.list.length >= MAX_EVENTS) return;
    this.list.push(this.event('receive', message, spec.branches[message.branch]?.participant ?? 'unknown', this.self, atMs));
  }

  private event(type: 'send' | 'receive', message: ProtocolMessage, from: string, to: string, atMs: number): TimelineEvent {
    const detail = detailOfMessage(message);
    const event = { atMs, type, name: message.kind, from, to, branch: message.branch };
    return detail === null ? event : { ...event, detail };
  }
}

function detailOfRecord(record: CoordinatorRecord): string | null {
  switch (record.kind) {
    case 'BEGIN':
      return null;
    case 'DECIDE':
      return record.reason === null ? record.decision : `${record.decision} ${record.reason.code}`;
    case 'END':
      return record.outcome;
  }
}

function detailOfMessage(message: Message): string | null {
  switch (message.kind) {
    case 'PREPARE':
    case 'PREPARE_AND_COMMIT':
      return message.operation;
    case 'VOTE':
      return message.reason === undefined ? message.vote : `${message.vote} ${message.reason.code}`;
    case 'ONE_PHASE_OUTCOME':
      return message.reason === undefined ? message.outcome : `${message.outcome} ${message.reason.code}`;
    case 'ABORT':
    case 'ABORT_ONE_PHASE':
      return message.reason.code;
    default:
      return null;
  }
}
