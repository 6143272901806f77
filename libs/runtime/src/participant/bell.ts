/** Wakes everybody who waits for a change, to look again. */
export class Bell {
  private waiting: (() => void)[] = [];

  /** Resolves with the next ring(). */
  wait(): Promise<void> {
    return new Promise((resolve) => this.waiting.push(resolve));
  }

  ring(): void {
    const { waiting } = this;
    this.waiting = [];
    for (const wake of waiting) wake();
  }
}
