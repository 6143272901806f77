/** A record as it was found in an inbox. */
export interface InboxRecord {
  readonly offset: number;
  readonly key: Buffer | null;
  readonly value: Buffer | null;
  readonly headers: Readonly<Record<string, string | Buffer>>;
}

/** Where a dead letter comes from. `offset` is null for a message that never had a place in a topic. */
export interface Origin {
  readonly topic: string;
  readonly partition: number | null;
  readonly offset: number | null;
  readonly key: Buffer | null;
}

/** Something that could not be processed, kept with all that is needed to understand and to replay it. */
export interface DeadLetter {
  readonly origin: Origin;
  readonly value: Buffer | null;
  readonly headers: Readonly<Record<string, string | Buffer>>;
  readonly errorCode: string;
  readonly errorMessage: string;
  readonly atMs: number;
}

export interface DeadLetterSink {
  /** Resolves when the letter is durable. */
  put(letter: DeadLetter): Promise<void>;
}

/** Header names of a record in the dead-letter topic. The original record's headers stand beside them. */
export const DeadLetterHeader = {
  TOPIC: 'origin-topic',
  PARTITION: 'origin-partition',
  OFFSET: 'origin-offset',
  KEY: 'origin-key',
  ERROR_CODE: 'error-code',
  ERROR_MESSAGE: 'error-message',
  TIME: 'dead-letter-time',
  /** Only on a value that had to be cut to fit: its original length in bytes. */
  TRUNCATED_FROM: 'truncated-from',
} as const;

const MAX_ERROR_MESSAGE = 2_000;

export function deadLetterHeaders(letter: DeadLetter): Record<string, string | Buffer> {
  const { origin } = letter;
  return {
    ...letter.headers,
    [DeadLetterHeader.TOPIC]: origin.topic,
    ...(origin.partition === null ? {} : { [DeadLetterHeader.PARTITION]: String(origin.partition) }),
    ...(origin.offset === null ? {} : { [DeadLetterHeader.OFFSET]: String(origin.offset) }),
    ...(origin.key === null ? {} : { [DeadLetterHeader.KEY]: origin.key }),
    [DeadLetterHeader.ERROR_CODE]: letter.errorCode,
    [DeadLetterHeader.ERROR_MESSAGE]: letter.errorMessage.slice(0, MAX_ERROR_MESSAGE),
    [DeadLetterHeader.TIME]: new Date(letter.atMs).toISOString(),
  };
}

/** The stable code of an error, or its class name. */
export function codeOf(error: unknown): string {
  const code = (error as { code?: unknown } | null)?.code;
  if (typeof code === 'string' && code !== '') return code;
  return error instanceof Error ? error.name : 'UNKNOWN';
}
