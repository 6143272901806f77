import type { ServerResponse } from 'node:http';

export interface EventStreamOptions {
  /** More than this waiting for the consumer, and it is dropped. */
  readonly maxBufferedBytes: number;
  readonly heartbeatMs: number;
  /** Told once, when the stream has ended for whatever reason. */
  readonly onEnd: (reason: 'closed' | 'slow' | 'stopped') => void;
}

const FLUSH_LIMIT_MS = 5_000;
/** Browsers come back after this. */
const HELLO = 'retry: 2000\n: connected\n\n';

/** One consumer of server-sent events (WHATWG HTML section 9.2). */
export class EventStream {
  private ended = false;
  private readonly heartbeat: NodeJS.Timeout;

  constructor(private readonly response: ServerResponse, private readonly options: EventStreamOptions) {
    this.heartbeat = setInterval(() => this.write(': heartbeat\n\n'), options.heartbeatMs);
    this.heartbeat.unref();
    response.on('close', () => this.end('closed'));
    response.on('error', () => this.end('closed'));
    response.write(HELLO);
  }

  write(chunk: string): void {
    if (this.ended) return;
    if (this.response.writableLength > this.options.maxBufferedBytes) this.drop();
    else this.response.write(chunk);
  }

  /** Ends the stream, as the server stops. */
  stop(): void {
    if (this.ended) return;
    this.finish(eventText('stopping', { detail: 'This instance is stopping; connect again.' }));
    this.end('stopped');
  }

  private drop(): void {
    this.finish(eventText('dropped', { code: 'SLOW_CONSUMER', detail: `More than ${this.options.maxBufferedBytes} bytes were waiting for this consumer; connect again and read the list to catch up.` }));
    this.end('slow');
  }

  /** Whoever does not read does not read the farewell either: it is not waited for for long. */
  private finish(farewell: string): void {
    this.response.end(farewell);
    setTimeout(() => this.response.destroy(), FLUSH_LIMIT_MS).unref();
  }

  private end(reason: 'closed' | 'slow' | 'stopped'): void {
    if (this.ended) return;
    this.ended = true;
    clearInterval(this.heartbeat);
    this.options.onEnd(reason);
  }
}

export function eventText(event: string, data: unknown): string {
  return `event: ${event}\ndata: ${JSON.stringify(data)}\n\n`;
}
