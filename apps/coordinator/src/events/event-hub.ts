import type { ServerResponse } from 'node:http';
import type { Txid } from '#libs/protocol';
import type { TransactionView } from '#libs/runtime';
import { type Logger, ProblemException } from '#libs/service';
import { transactionJson } from '../http/transaction-json.js';
import { EventStream, eventText } from './event-stream.js';

export type TransactionEventName = 'begun' | 'decided' | 'attention' | 'finished';

export interface EventHubOptions {
  readonly maxStreams: number;
  readonly maxBufferedBytes: number;
  readonly heartbeatMs: number;
  readonly logger: Logger;
  readonly onDropped: () => void;
}

/** Remembered to tell an event heard from two sides from two events. */
const MAX_REMEMBERED = 50_000;

/** Hands events of transactions to everybody who listens; costs nothing while nobody does. */
export class EventHub {
  private readonly streams = new Set<EventStream>();
  private readonly told = new Set<string>();
  private stopped = false;

  constructor(private readonly options: EventHubOptions) {}

  get size(): number {
    return this.streams.size;
  }

  /** @throws ProblemException 503 when too many are listening */
  admit(): { attach(response: ServerResponse, peer: string): void } {
    if (this.stopped) throw new ProblemException(503, 'SHUTTING_DOWN', 'This instance is stopping; ask another one, or again in a moment.', [], 1_000);
    if (this.streams.size >= this.options.maxStreams) throw new ProblemException(503, 'TOO_MANY_STREAMS', `${this.options.maxStreams} event streams are open, which is all that this instance serves (MAX_EVENT_STREAMS).`, [], 5_000);
    return { attach: (response, peer) => this.attach(response, peer) };
  }

  publish(event: TransactionEventName, view: TransactionView): void {
    if (this.streams.size === 0 || !this.isNew(keyOf(event, view.txid))) return;
    const text = eventText(event, transactionJson(view));
    for (const stream of this.streams) stream.write(text);
  }

  /** Whether somebody who listens has heard of it already. */
  hasTold(event: TransactionEventName, txid: Txid): boolean {
    return this.told.has(keyOf(event, txid));
  }

  stop(): void {
    this.stopped = true;
    for (const stream of [...this.streams]) stream.stop();
  }

  private attach(response: ServerResponse, peer: string): void {
    const { maxBufferedBytes, heartbeatMs } = this.options;
    const stream = new EventStream(response, { maxBufferedBytes, heartbeatMs, onEnd: (reason) => this.detach(stream, reason, peer) });
    this.streams.add(stream);
  }

  private detach(stream: EventStream, reason: 'closed' | 'slow' | 'stopped', peer: string): void {
    this.streams.delete(stream);
    if (this.streams.size === 0) this.told.clear();
    if (reason !== 'slow') return;
    this.options.onDropped();
    this.options.logger.warn({ peer }, 'dropped an event stream whose consumer does not keep up');
  }

  private isNew(key: string): boolean {
    if (this.told.has(key)) return false;
    this.told.add(key);
    // Sets keep the order of insertion: the oldest goes.
    if (this.told.size > MAX_REMEMBERED) this.told.delete(this.told.values().next().value!);
    return true;
  }
}

function keyOf(event: TransactionEventName, txid: Txid): string {
  return `${txid} ${event}`;
}
