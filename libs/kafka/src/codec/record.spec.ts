import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import type { Message } from '#libs/protocol';
import { arbitraryMessage } from '../../test/arbitraries.js';
import { ackOn, txidOn } from '../../test/inbox.js';
import { DecodeError, type DecodeErrorCode, MessageTooLargeError } from './errors.js';
import { MAX_JSON_DEPTH } from './json-guard.js';
import type { InboxRole } from './messages.js';
import { decodeRecord, encodeRecords, MAX_RECORD_BYTES, RECORD_TARGET_BYTES } from './record.js';

const ROLES: readonly InboxRole[] = ['coordinator', 'participant'];
const txid = txidOn(3);

function codeOf(value: Buffer | null, role: InboxRole = 'coordinator'): DecodeErrorCode | 'decoded' {
  try {
    const { rejected } = decodeRecord(value, role);
    return rejected[0]?.error.code ?? 'decoded';
  } catch (error) {
    if (error instanceof DecodeError) return error.code;
    throw error;
  }
}

const recordOf = (...messages: readonly unknown[]): Buffer => Buffer.from(JSON.stringify({ v: 1, sender: 'payments/1', messages }));
const nested = (depth: number): string => '['.repeat(depth) + ']'.repeat(depth);

describe.each(ROLES)('records in the inbox of a %s', (role) => {
  it('come back as the messages that went in, in order', () => {
    fc.assert(fc.property(fc.array(arbitraryMessage(role), { minLength: 1, maxLength: 20 }), (messages) => {
      const decoded = encodeRecords('orders/1', messages).map((value) => decodeRecord(value, role));
      expect(decoded.flatMap((record) => record.messages)).toEqual(messages);
      expect(decoded.flatMap((record) => record.rejected)).toEqual([]);
      expect(new Set(decoded.map((record) => record.sender))).toEqual(new Set(['orders/1']));
    }));
  });

  it('are the same bytes when what was read is written again', () => {
    fc.assert(fc.property(fc.array(arbitraryMessage(role), { minLength: 1, maxLength: 5 }), (messages) => {
      const first = encodeRecords('orders/1', messages);
      const again = encodeRecords('orders/1', first.flatMap((value) => decodeRecord(value, role).messages));
      const third = encodeRecords('orders/1', again.flatMap((value) => decodeRecord(value, role).messages));
      expect(third).toEqual(again);
    }));
  });

  it('never fail to decode in any other way than with a typed error, whatever the bytes', () => {
    const jsonBytes = fc.json().map((text) => Buffer.from(text));
    const nearlyRight = fc.record({ v: fc.constant(1), sender: fc.constant('x'), messages: fc.array(fc.oneof(fc.jsonValue(), arbitraryMessage(role).chain(damaged))) }).map((value) => Buffer.from(JSON.stringify(value)));
    fc.assert(fc.property(fc.oneof(fc.uint8Array().map((bytes) => Buffer.from(bytes)), jsonBytes, nearlyRight), (bytes) => {
      expect(typeof codeOf(bytes, role)).toBe('string');
    }), { numRuns: 500 });
  });
});

/** The message with one of its fields replaced by any JSON. */
function damaged(message: Message): fc.Arbitrary<unknown> {
  return fc.tuple(fc.constantFrom(...Object.keys(message)), fc.jsonValue()).map(([field, value]) => ({ ...message, [field]: value }));
}

describe('an undecodable record gets a stable code', () => {
  const vote = { kind: 'VOTE', txid, branch: 0, vote: 'yes' };
  const prepare = { kind: 'PREPARE', txid, branch: 0, operation: 'debit', payload: {}, peers: ['payments'] };

  it.each<[string, Buffer | null, DecodeErrorCode]>([
    ['no value', null, 'EMPTY_RECORD'],
    ['an empty value', Buffer.alloc(0), 'EMPTY_RECORD'],
    ['bytes that are not UTF-8', Buffer.from([0xc3, 0x28]), 'NOT_UTF8'],
    ['gzip', Buffer.from([0x1f, 0x8b, 8, 0, 0xff]), 'NOT_UTF8'],
    ['text', Buffer.from('not json at all'), 'NOT_JSON'],
    ['cut off JSON', recordOf(vote).subarray(0, 40), 'NOT_JSON'],
    ['a byte order mark', Buffer.concat([Buffer.from('\uFEFF'), recordOf(vote)]), 'NOT_JSON'],
    ['a number', Buffer.from('7'), 'MALFORMED_RECORD'],
    ['null', Buffer.from('null'), 'MALFORMED_RECORD'],
    ['a list', Buffer.from('[]'), 'MALFORMED_RECORD'],
    ['a million brackets', Buffer.from(nested(500_000)), 'MALFORMED_RECORD'],
    ['no version', Buffer.from('{}'), 'UNSUPPORTED_VERSION'],
    ['a later version', Buffer.from('{"v":99,"sender":"x","messages":[]}'), 'UNSUPPORTED_VERSION'],
    ['no sender', Buffer.from('{"v":1,"messages":[{}]}'), 'MALFORMED_RECORD'],
    ['no messages', Buffer.from('{"v":1,"sender":"x"}'), 'MALFORMED_RECORD'],
    ['an empty list of messages', Buffer.from('{"v":1,"sender":"x","messages":[]}'), 'MALFORMED_RECORD'],
    ['a message that is null', recordOf(null), 'INVALID_MESSAGE'],
    ['a message without kind', recordOf({ txid }), 'UNKNOWN_KIND'],
    ['an unknown kind', recordOf({ kind: 'EXPLODE' }), 'UNKNOWN_KIND'],
    ['a kind that every object has', recordOf({ kind: 'constructor' }), 'UNKNOWN_KIND'],
    ['a message for the other inbox', recordOf(prepare), 'WRONG_INBOX'],
    ['no txid', recordOf({ ...vote, txid: undefined }), 'INVALID_MESSAGE'],
    ['a txid of another format', recordOf({ ...vote, txid: '1' }), 'INVALID_MESSAGE'],
    ['a negative branch', recordOf({ ...vote, branch: -1 }), 'INVALID_MESSAGE'],
    ['a fractional branch', recordOf({ ...vote, branch: 0.5 }), 'INVALID_MESSAGE'],
    ['an unknown vote', recordOf({ ...vote, vote: 'perhaps' }), 'INVALID_MESSAGE'],
    ['a reason without code', recordOf({ ...vote, vote: 'no', reason: {} }), 'INVALID_MESSAGE'],
    ['text with U+0000, which no database stores', recordOf({ ...vote, vote: 'no', reason: { code: 'A\0B' } }), 'INVALID_MESSAGE'],
    ['a lone surrogate in a result', Buffer.from(`{"v":1,"sender":"x","messages":[{"kind":"VOTE","txid":"${txid}","branch":0,"vote":"yes","result":{"a":"\\ud800"}}]}`), 'INVALID_MESSAGE'],
    ['a result that is nested too deeply', Buffer.from(`{"v":1,"sender":"x","messages":[{"kind":"VOTE","txid":"${txid}","branch":0,"vote":"yes","result":${nested(MAX_JSON_DEPTH + 1)}}]}`), 'INVALID_MESSAGE'],
    ['a result of half a million brackets', Buffer.from(`{"v":1,"sender":"x","messages":[{"kind":"VOTE","txid":"${txid}","branch":0,"vote":"yes","result":${nested(400_000)}}]}`), 'INVALID_MESSAGE'],
  ])('%s', (_what, value, code) => {
    expect(codeOf(value)).toBe(code);
  });

  it.each<[string, unknown]>([
    ['a PREPARE whose branch is not among its peers', { ...prepare, branch: 1 }],
    ['a PREPARE without payload', { ...prepare, payload: undefined }],
    ['a peer that cannot be a topic', { ...prepare, peers: ['../etc'] }],
    ['an inquiry from a branch that is not among the peers', { kind: 'PEER_INQUIRY', txid, branch: 0, from: 5, peers: ['a'] }],
    ['an ABORT without reason', { kind: 'ABORT', txid, branch: 0 }],
  ])('%s', (_what, message) => {
    expect(codeOf(recordOf(message), 'participant')).toBe('INVALID_MESSAGE');
  });

  it('allows nesting up to the limit', () => {
    expect(codeOf(Buffer.from(`{"v":1,"sender":"x","messages":[{"kind":"VOTE","txid":"${txid}","branch":0,"vote":"yes","result":${nested(MAX_JSON_DEPTH)}}]}`))).toBe('decoded');
  });

  it('one bad message does not take its neighbours with it, and is named by its place', () => {
    const { messages, rejected } = decodeRecord(recordOf(vote, { ...vote, branch: 'x' }, { ...vote, branch: 2 }), 'coordinator');
    expect(messages).toEqual([vote, { ...vote, branch: 2 }]);
    expect(rejected.map(({ index, error }) => [index, error.message])).toEqual([[1, 'messages[1].branch must be an integer within 0..9999, got "x"']]);
  });

  it('fields that a newer sender added are left out', () => {
    expect(decodeRecord(recordOf({ ...vote, colour: 'red' }), 'coordinator').messages).toEqual([vote]);
  });
});

describe('the size of records', () => {
  const big = (bytes: number): Message => ({ kind: 'VOTE', txid: txidOn(1), branch: 0, vote: 'yes', result: 'x'.repeat(bytes) });

  it('a thousand small messages share one record', () => {
    expect(encodeRecords('orders/1', Array.from({ length: 1_000 }, () => ackOn(1)))).toHaveLength(1);
  });

  it('stays below the limit of brokers, in order, by starting another record', () => {
    const messages = Array.from({ length: 20 }, () => big(100_000));
    const records = encodeRecords('orders/1', messages);
    expect(records.length).toBeGreaterThan(3);
    for (const record of records) expect(record.length).toBeLessThanOrEqual(RECORD_TARGET_BYTES);
    expect(records.flatMap((record) => decodeRecord(record, 'coordinator').messages)).toEqual(messages);
  });

  it('a message beyond the target still travels, alone', () => {
    const records = encodeRecords('orders/1', [big(10), big(900_000), big(10)]);
    expect(records.map((record) => decodeRecord(record, 'coordinator').messages.length)).toEqual([1, 1, 1]);
  });

  it('a message that no broker would take is refused by name, with sizes', () => {
    const huge = big(MAX_RECORD_BYTES);
    expect(() => encodeRecords('orders/1', [huge])).toThrow(MessageTooLargeError);
    expect(() => encodeRecords('orders/1', [huge])).toThrow(expect.objectContaining({ code: 'MESSAGE_TOO_LARGE', message: expect.stringMatching(/^VOTE of .* takes \d+ bytes/) }));
  });

  it('is counted in bytes, not characters', () => {
    expect(() => encodeRecords('orders/1', [{ kind: 'VOTE', txid, branch: 0, vote: 'yes', result: '€'.repeat(400_000) }])).toThrow(MessageTooLargeError);
  });
});
