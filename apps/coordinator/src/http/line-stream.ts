import type { ServerResponse } from 'node:http';

export const LINES_MEDIA_TYPE = 'application/x-ndjson';

/** Whether the caller asks for lines (RFC 9110 section 12.5.1); a wildcard gets the ordinary answer. */
export function wantsLines(accept: string | undefined): boolean {
  if (accept === undefined) return false;
  return accept.split(',').some((range) => {
    const [type, ...parameters] = range.split(';').map((part) => part.trim().toLowerCase());
    return type === LINES_MEDIA_TYPE && !parameters.some((parameter) => /^q=0(\.0*)?$/.test(parameter));
  });
}

/** An answer of one JSON document a line. The lines of one turn of the event loop leave in one write: a system call each would cost more than they do. */
export class LineStream {
  private text = '';
  private gone = false;

  constructor(private readonly response: ServerResponse) {
    response.on('close', () => { this.gone = true; });
    response.on('error', () => { this.gone = true; });
    response.writeHead(200, { 'content-type': LINES_MEDIA_TYPE, 'cache-control': 'no-store', 'x-accel-buffering': 'no' });
    // Whoever has only slow items is to know at once that the request was taken in.
    response.flushHeaders();
  }

  /** @param line one JSON document. Nothing happens once the reader has gone. */
  write(line: string): void {
    if (this.gone) return;
    if (this.text === '') setImmediate(() => this.flush());
    this.text += `${line}\n`;
  }

  end(): void {
    if (!this.gone) this.response.end(this.taken());
  }

  private flush(): void {
    const text = this.taken();
    if (text !== '' && !this.gone) this.response.write(text);
  }

  private taken(): string {
    const { text } = this;
    this.text = '';
    return text;
  }
}
