const NEWLINE = 0x0a;
/** Far beyond any transaction that a coordinator takes; keeps what is not a coordinator from filling the memory. */
const MAX_LINE_BYTES = 16 * 1024 * 1024;

/** Cuts a stream of bytes into lines. Decodes whole lines only, so that a chunk may end anywhere, inside of a character too. */
export class LineReader {
  private parts: Buffer[] = [];
  private bytes = 0;

  constructor(private readonly onLine: (line: string) => void, private readonly maxBytes = MAX_LINE_BYTES) {}

  /** False once a line is longer than is allowed. What follows the last newline stays unread. */
  push(chunk: Buffer): boolean {
    const end = chunk.lastIndexOf(NEWLINE);
    if (end !== -1) this.emit(chunk.subarray(0, end));
    if (end + 1 < chunk.length) {
      this.parts.push(chunk.subarray(end + 1));
      this.bytes += chunk.length - end - 1;
    }
    return this.bytes <= this.maxBytes;
  }

  private emit(last: Buffer): void {
    const whole = this.parts.length === 0 ? last : Buffer.concat([...this.parts, last]);
    this.parts = [];
    this.bytes = 0;
    for (const line of whole.toString().split('\n')) if (line !== '') this.onLine(line);
  }
}
