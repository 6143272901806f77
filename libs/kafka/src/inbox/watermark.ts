interface Stretch {
  readonly lastOffset: number;
  done: boolean;
}

/**
 * Turns completions that come in any order into the one number that Kafka can keep: every record below `position` is done.
 * Offsets are exact as numbers up to 2^53.
 */
export class Watermark {
  private readonly pending: Stretch[] = [];
  private reached: number | null = null;
  private savedAt: number | null = null;

  /** The next stretch of records, which ends with `lastOffset`; the returned function marks it done and may be called again. */
  track(lastOffset: number): () => void {
    const stretch: Stretch = { lastOffset, done: false };
    this.pending.push(stretch);
    return () => {
      stretch.done = true;
      this.advance();
    };
  }

  /** Every record below it is done; null until one is. */
  get position(): number | null {
    return this.reached;
  }

  /** The offset to save, or null when there is nothing new to save. */
  unsaved(): number | null {
    return this.reached === this.savedAt ? null : this.reached;
  }

  saved(position: number): void {
    this.savedAt = position;
  }

  private advance(): void {
    let finished = 0;
    while (this.pending[finished]?.done === true) finished++;
    if (finished === 0) return;
    this.reached = this.pending[finished - 1]!.lastOffset + 1;
    this.pending.splice(0, finished);
  }
}
