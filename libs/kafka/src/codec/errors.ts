export type DecodeErrorCode =
  | 'EMPTY_RECORD' | 'NOT_UTF8' | 'NOT_JSON' | 'MALFORMED_RECORD' | 'UNSUPPORTED_VERSION'
  | 'UNKNOWN_KIND' | 'INVALID_MESSAGE' | 'WRONG_INBOX';

/** A record, or one message in it, that no version of this code may act on. Its place is the dead-letter topic. */
export class DecodeError extends Error {
  constructor(readonly code: DecodeErrorCode, message: string) {
    super(message);
    this.name = 'DecodeError';
  }
}

/** A message is bigger than a broker takes. Sending it again cannot help: shorten its payload, result or reason. */
export class MessageTooLargeError extends Error {
  readonly code = 'MESSAGE_TOO_LARGE';
  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'MessageTooLargeError';
  }

  /** Found before sending: no broker takes this one. */
  static of(kind: string, txid: string | null, bytes: number, limitBytes: number): MessageTooLargeError {
    return new MessageTooLargeError(`${kind} of ${txid ?? 'no transaction'} takes ${bytes} bytes as JSON, the limit is ${limitBytes}: shorten its payload, result or reason`);
  }

  /** The broker's answer, which does not tell which message it means. @param bytes of the largest record that was sent */
  static fromBroker(cause: unknown, topic: string, bytes: number): MessageTooLargeError {
    return new MessageTooLargeError(`the broker does not take records of ${bytes} bytes for ${topic}: shorten payload, result or reason, or raise the topic's max.message.bytes`, { cause });
  }
}
