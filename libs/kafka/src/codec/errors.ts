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

/** One message alone is bigger than a broker takes. Sending it again cannot help: shorten its payload, result or reason. */
export class MessageTooLargeError extends Error {
  readonly code = 'MESSAGE_TOO_LARGE';
  constructor(readonly kind: string, readonly txid: string | null, readonly bytes: number, readonly limitBytes: number) {
    super(`${kind} of ${txid ?? 'no transaction'} takes ${bytes} bytes as JSON, the limit is ${limitBytes}: shorten its payload, result or reason`);
    this.name = 'MessageTooLargeError';
  }
}
