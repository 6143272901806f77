/** What is seen while one waits: one line that is rewritten on a terminal, a line every ten seconds elsewhere. */
import { duration, grouped } from './numbers.js';

export interface ProgressStream {
  readonly isTTY?: boolean;
  write(text: string): unknown;
}

const REWRITE_EVERY_MS = 200;
const LINE_EVERY_MS = 10_000;

export class Progress {
  private readonly beganMs: number;
  private shownMs: number;
  private isOpen = false;

  constructor(private readonly stream: ProgressStream, private readonly nowMs: () => number = () => performance.now()) {
    this.beganMs = nowMs();
    this.shownMs = this.beganMs;
  }

  /** @param text made only when it is time to show it */
  show(text: (elapsedMs: number) => string): void {
    const now = this.nowMs();
    if (now - this.shownMs < (this.stream.isTTY === true ? REWRITE_EVERY_MS : LINE_EVERY_MS)) return;
    this.shownMs = now;
    const line = text(now - this.beganMs);
    this.stream.write(this.stream.isTTY === true ? `\r${line}\u001b[K` : `${line}\n`);
    this.isOpen = this.stream.isTTY === true;
  }

  /** Takes the line away, before anything else is written. */
  end(): void {
    if (this.isOpen) this.stream.write('\r\u001b[K');
    this.isOpen = false;
  }
}

export function campaignLine(done: number, total: number, violations: number, elapsedMs: number): string {
  const perSecond = (done * 1000) / Math.max(1, elapsedMs);
  return `${grouped(done)} of ${grouped(total)} runs, ${grouped(perSecond)} per second, ${duration(((total - done) / perSecond) * 1000)} to go, ${grouped(violations)} violations`;
}
