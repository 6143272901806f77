// Run by Node as it is (tools/chaos), too: erasable TypeScript, relative imports in .ts.
import { Client } from 'undici';

export interface HttpAnswer {
  readonly status: number;
  readonly text: string;
}

/** There was no answer. `code` is the one of Node or undici (ECONNRESET, UND_ERR_HEADERS_TIMEOUT, ...). */
export class NoAnswerError extends Error {
  readonly code: string;
  /** False: nothing was written to a socket, so nothing can have happened. */
  readonly sent: boolean;

  constructor(cause: Error & { readonly code?: string }, sent: boolean) {
    super(cause.message, { cause });
    this.code = cause.code ?? cause.message;
    this.sent = sent;
  }
}

const GIVE_UP_MS = 30_000;
const CONNECT_MS = 5_000;

/**
 * Keep-alive connections to one server, the one that became free last first, so that no more are used than have something to do. The load
 * shares its processors with what it measures: this spends a third less than a pool with promises and streams.
 */
export class HttpConnections {
  private readonly url: string;
  private readonly most: number;
  private readonly all: Client[] = [];
  private readonly free: Client[] = [];
  private readonly waiting: ((client: Client) => void)[] = [];

  constructor(url: string, most: number) {
    this.url = url;
    this.most = most;
  }

  /**
   * @param onData given the body of a 200 as it comes; the answer's text is empty then
   * @throws NoAnswerError
   */
  async post(path: string, headers: Record<string, string>, body: string, onData?: (chunk: Buffer) => void): Promise<HttpAnswer> {
    const client = this.take() ?? await new Promise<Client>((resolve) => this.waiting.push(resolve));
    try {
      return await answerOf(client, path, headers, body, onData);
    } finally {
      const next = this.waiting.shift();
      if (next === undefined) this.free.push(client);
      else next(client);
    }
  }

  async close(): Promise<void> {
    await Promise.all(this.all.map((client) => client.destroy()));
  }

  private take(): Client | undefined {
    if (this.free.length > 0 || this.all.length === this.most) return this.free.pop();
    const client = new Client(this.url, { headersTimeout: GIVE_UP_MS, bodyTimeout: GIVE_UP_MS, connectTimeout: CONNECT_MS });
    this.all.push(client);
    return client;
  }
}

function answerOf(client: Client, path: string, headers: Record<string, string>, body: string, onData?: (chunk: Buffer) => void): Promise<HttpAnswer> {
  return new Promise((resolve, reject) => {
    let sent = false;
    let status = 0;
    const chunks: Buffer[] = [];
    client.dispatch({ method: 'POST', path, headers, body }, {
      onRequestStart: () => { sent = true; },
      onResponseStart: (_controller, statusCode) => { status = statusCode; },
      onResponseData: (_controller, chunk) => {
        if (onData !== undefined && status === 200) onData(chunk);
        else chunks.push(chunk);
      },
      onResponseEnd: () => resolve({ status, text: chunks.length === 1 ? chunks[0]!.toString() : Buffer.concat(chunks).toString() }),
      onResponseError: (_controller, error) => reject(new NoAnswerError(error, sent)),
    });
  });
}
