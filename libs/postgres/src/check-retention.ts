export interface TopicRetention {
  readonly topic: string;
  /** `retention.ms` as the broker has it; -1: for ever. */
  readonly retentionMs: number;
}

export interface RetentionSettings {
  /** How long a site's rows are kept after the creation of their transaction: `keepMs` of its housekeeper. */
  readonly keepMs: number;
  /** By how much that must be longer than any topic: a transaction's messages are sent until long after its creation. */
  readonly marginMs: number;
  /** What is delivered to this site. */
  readonly topics: readonly TopicRetention[];
}

/** A message could be read again when the row that tells what it did is gone. */
export class RetentionError extends Error {
  readonly code = 'RETENTION_TOO_SHORT';

  constructor(message: string) {
    super(message);
    this.name = 'RetentionError';
  }
}

/**
 * Rows live longer than the messages that they answer: a consumer that is set back to the start of its topic finds a row for everything
 * that it reads again.
 * @throws RetentionError
 */
export function checkRetention({ keepMs, marginMs, topics }: RetentionSettings): void {
  const wrong = topics.flatMap(({ topic, retentionMs }) => {
    if (retentionMs < 0) return [`${topic} keeps its messages for ever: set its retention.ms to at most ${keepMs - marginMs}`];
    if (retentionMs + marginMs <= keepMs) return [];
    return [`${topic} keeps its messages for ${retentionMs} ms: keep branch rows for at least ${retentionMs + marginMs} ms, or set its retention.ms to at most ${Math.max(keepMs - marginMs, 0)}`];
  });
  if (wrong.length > 0) throw new RetentionError(`branch rows are kept for ${keepMs} ms, which must be ${marginMs} ms longer than any message: ${wrong.join('; ')}`);
}
