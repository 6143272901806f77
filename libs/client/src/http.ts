import { type Dispatcher, Pool } from 'undici';
import { LineReader } from './line-reader.js';

export interface HttpAnswer {
  readonly status: number;
  /** Names in lower case. */
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly text: string;
  /** What `text` says, if it has been parsed already. */
  readonly body?: Readonly<Record<string, unknown>>;
}

/** The media type of an answer in lines (newline-delimited JSON). */
export const LINES_MEDIA_TYPE = 'application/x-ndjson';

/** How one attempt ended: only `not-sent` allows the conclusion that nothing happened. */
export type Attempt =
  | { readonly kind: 'answer'; readonly answer: HttpAnswer }
  | { readonly kind: 'not-sent'; readonly cause: Error }
  | { readonly kind: 'lost'; readonly cause: Error };

export interface HttpCall {
  readonly method: 'GET' | 'POST';
  /** Below the base URL, with its query. */
  readonly path: string;
  readonly headers: Record<string, string>;
  readonly body: string | null;
}

/**
 * One coordinator: a bounded pool of kept-alive connections to its base URL. Goes through undici's `dispatch`, which tells the moment
 * a request is written to a socket (that is what separates "not sent" from "lost") and costs about half of `request`.
 */
export class Endpoint {
  private readonly pool: Pool;
  private readonly prefix: string;
  /** Not to be tried before this, in milliseconds since the epoch, unless all others rest too. */
  restsUntilMs = 0;

  constructor(readonly url: string, connections: number, connectTimeoutMs: number) {
    const parsed = new URL(url);
    this.prefix = parsed.pathname.replace(/\/+$/, '');
    // The caller's own deadline, set per attempt, is the only timeout for headers and body.
    this.pool = new Pool(parsed.origin, { connections, connect: { timeout: connectTimeoutMs }, headersTimeout: 0, bodyTimeout: 0 });
  }

  /**
   * Never rejects.
   * @param onLine given the lines of a 200 that comes in lines, each as soon as it is there; the answer's text is empty then
   */
  attempt(call: HttpCall, timeoutMs: number, onLine?: (line: string) => void): Promise<Attempt> {
    return new Promise((resolve) => {
      const exchange = new Exchange(resolve, timeoutMs, onLine);
      this.pool.dispatch({ method: call.method, path: this.prefix + call.path, headers: call.headers, body: call.body }, exchange);
    });
  }

  async close(): Promise<void> {
    await this.pool.destroy();
  }
}

class Exchange implements Dispatcher.DispatchHandler {
  private controller: Dispatcher.DispatchController | null = null;
  private expired: Error | null = null;
  private status = 0;
  private headers: HttpAnswer['headers'] = {};
  private readonly chunks: Buffer[] = [];
  private lines: LineReader | null = null;
  private readonly timer: NodeJS.Timeout;

  constructor(private readonly resolve: (attempt: Attempt) => void, timeoutMs: number, private readonly onLine?: (line: string) => void) {
    this.timer = setTimeout(() => this.expire(timeoutMs), timeoutMs);
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    // Timed out while it queued for a connection, and said so: it must not be sent after that.
    if (this.expired !== null) controller.abort(this.expired);
    else this.controller = controller;
  }

  onResponseStart(_controller: Dispatcher.DispatchController, status: number, headers: HttpAnswer['headers']): void {
    this.status = status;
    this.headers = headers;
    if (this.onLine !== undefined && status === 200 && inLines(headers)) this.lines = new LineReader(this.onLine);
  }

  onResponseData(controller: Dispatcher.DispatchController, chunk: Buffer): void {
    if (this.lines === null) this.chunks.push(chunk);
    else if (!this.lines.push(chunk)) controller.abort(new Error('a line of the answer is too long'));
  }

  onResponseEnd(): void {
    const text = this.chunks.length === 1 ? this.chunks[0]!.toString() : Buffer.concat(this.chunks).toString();
    this.end({ kind: 'answer', answer: { status: this.status, headers: this.headers, text } });
  }

  onResponseError(_controller: Dispatcher.DispatchController, cause: Error): void {
    this.end({ kind: this.controller === null ? 'not-sent' : 'lost', cause });
  }

  private expire(timeoutMs: number): void {
    this.expired = new Error(`no answer within ${timeoutMs} ms`);
    if (this.controller === null) this.end({ kind: 'not-sent', cause: this.expired });
    else this.controller.abort(this.expired);
  }

  private end(attempt: Attempt): void {
    clearTimeout(this.timer);
    this.resolve(attempt);
  }
}

function inLines(headers: HttpAnswer['headers']): boolean {
  const type = headers['content-type'];
  return typeof type === 'string' && type.split(';', 1)[0]!.trim().toLowerCase() === LINES_MEDIA_TYPE;
}
