import { type CustomTransportStrategy, Server } from '@nestjs/microservices';
import type { InboundBatch, Inbox, Subscription, Transport } from '#libs/runtime';
import { isObservable, lastValueFrom, type Subscription as RxSubscription } from 'rxjs';

/** Handlers registered with `@EventPattern(InboxPattern.BATCH)` get an InboundBatch, with ASSIGNED a `readonly number[]`. */
export const InboxPattern = { BATCH: 'inbox', ASSIGNED: 'inbox.assigned' } as const;

export type InboxStatus = 'subscribed' | 'closed';
export type InboxEvents = { status: (status: InboxStatus) => void };

export interface InboxStrategyOptions {
  readonly transport: Transport;
  readonly inbox: Inbox;
}

/**
 * Feeds one inbox into a Nest microservice: `createMicroservice({ strategy: new InboxStrategy(...) })`. Whatever a handler
 * returns is awaited, and what it throws reaches the transport, which then delivers the batch again.
 */
export class InboxStrategy extends Server<InboxEvents, InboxStatus> implements CustomTransportStrategy {
  override transportId = Symbol('concordat-inbox');
  /** Tells Nest not to report handler errors itself: they go back to the transport. */
  override readonly propagatesEventHandlerErrors = true;
  private subscription: Subscription | null = null;
  private readonly listeners: RxSubscription[] = [];

  constructor(private readonly options: InboxStrategyOptions) {
    super();
    this.initializeSerializer({});
    this.initializeDeserializer({});
  }

  listen(callback: (error?: unknown) => void): void {
    this.subscribe().then(() => callback(), (error: unknown) => callback(error));
  }

  async close(): Promise<void> {
    await this.subscription?.close();
    this.subscription = null;
    this._status$.next('closed');
    for (const listener of this.listeners.splice(0)) listener.unsubscribe();
  }

  on<K extends keyof InboxEvents>(_event: K, callback: InboxEvents[K]): void {
    this.listeners.push(this.status.subscribe(callback));
  }

  unwrap<T>(): T {
    return this.options.transport as T;
  }

  private async subscribe(): Promise<void> {
    for (const pattern of Object.values(InboxPattern)) {
      if (this.getHandlerByPattern(pattern) === null) throw new Error(`no handler is registered with @EventPattern('${pattern}')`);
    }
    this.subscription = await this.options.transport.subscribe(this.options.inbox, {
      assigned: (partitions) => this.handle(InboxPattern.ASSIGNED, partitions),
      deliver: (batch) => this.handle(InboxPattern.BATCH, batch),
    });
    this._status$.next('subscribed');
  }

  private async handle(pattern: string, data: readonly number[] | InboundBatch): Promise<void> {
    const result: unknown = await this.getHandlerByPattern(pattern)!(data);
    if (isObservable(result)) await lastValueFrom(result, { defaultValue: undefined });
  }
}
