import { isUtf8 } from 'node:buffer';
import type { Message } from '#libs/protocol';
import type { InboxRole } from './decoder.js';
import { DecodeError, MessageTooLargeError } from './errors.js';
import { excerpt } from './fields.js';
import { decodeMessage } from './messages.js';

/** Messages are gathered into one record up to this size. */
export const RECORD_TARGET_BYTES = 512 * 1024;
/** A broker takes record batches up to 1,048,588 bytes by default (`message.max.bytes`); the rest is room for framing and headers. */
export const MAX_RECORD_BYTES = 1_000_000;
const MAX_SENDER_LENGTH = 255;
const VERSION = 1;

/** A decoded record: what may be processed, and what must be dead-lettered for its own fault alone. */
export interface DecodedRecord {
  /** `<service>/<instance>` of the process that wrote the record. */
  readonly sender: string;
  readonly messages: readonly Message[];
  readonly rejected: readonly { readonly index: number; readonly error: DecodeError }[];
}

/**
 * Writes messages, in order, into as few record values as the target size allows: `{ "v": 1, "sender": ..., "messages": [...] }`.
 * @throws MessageTooLargeError when one message alone does not fit into a record
 */
export function encodeRecords(sender: string, messages: readonly Message[]): readonly Buffer[] {
  const head = `{"v":${VERSION},"sender":${JSON.stringify(sender)},"messages":[`;
  const overhead = Buffer.byteLength(head) + 2;
  const records: Buffer[] = [];
  let parts: string[] = [];
  let size = overhead;
  const close = (): void => {
    records.push(Buffer.from(`${head}${parts.join(',')}]}`));
    parts = [];
    size = overhead;
  };
  for (const message of messages) {
    const part = JSON.stringify(message);
    const bytes = Buffer.byteLength(part) + 1;
    if (overhead + bytes > MAX_RECORD_BYTES) throw MessageTooLargeError.of(message.kind, message.kind === 'ANNOUNCE' ? null : message.txid, bytes - 1, MAX_RECORD_BYTES - overhead - 1);
    if (parts.length > 0 && size + bytes > RECORD_TARGET_BYTES) close();
    parts.push(part);
    size += bytes;
  }
  if (parts.length > 0) close();
  return records;
}

/**
 * Reads a record value that was found in an inbox of the given role. A message that is wrong by itself is listed in `rejected`
 * and does not take its neighbours, which belong to other transactions, with it.
 * @throws DecodeError when the record as a whole cannot be read
 */
export function decodeRecord(value: Buffer | null, role: InboxRole): DecodedRecord {
  const record = parse(value);
  if (record['v'] !== VERSION) throw new DecodeError('UNSUPPORTED_VERSION', `record version ${excerpt(record['v'])} is not ${VERSION}`);
  const { sender, messages: entries } = record;
  if (typeof sender !== 'string' || sender.length === 0 || sender.length > MAX_SENDER_LENGTH) throw new DecodeError('MALFORMED_RECORD', `sender must be text of 1..${MAX_SENDER_LENGTH} characters, got ${excerpt(sender)}`);
  if (!Array.isArray(entries) || entries.length === 0) throw new DecodeError('MALFORMED_RECORD', `messages must be a non-empty list, got ${excerpt(entries)}`);
  const messages: Message[] = [];
  const rejected: { index: number; error: DecodeError }[] = [];
  entries.forEach((entry, index) => {
    try {
      messages.push(decodeMessage(entry, role, `messages[${index}]`));
    } catch (error) {
      if (!(error instanceof DecodeError)) throw error;
      rejected.push({ index, error });
    }
  });
  return { sender, messages, rejected };
}

function parse(value: Buffer | null): Record<string, unknown> {
  if (value === null || value.length === 0) throw new DecodeError('EMPTY_RECORD', 'the record has no value');
  if (!isUtf8(value)) throw new DecodeError('NOT_UTF8', 'the record value is not UTF-8');
  let parsed: unknown;
  try {
    parsed = JSON.parse(value.toString());
  } catch (error) {
    throw new DecodeError('NOT_JSON', `the record value is not JSON: ${(error as Error).message.slice(0, 200)}`);
  }
  if (typeof parsed !== 'object' || parsed === null || Array.isArray(parsed)) throw new DecodeError('MALFORMED_RECORD', `the record must be an object, got ${excerpt(parsed)}`);
  return parsed as Record<string, unknown>;
}
