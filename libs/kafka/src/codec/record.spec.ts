import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import type { Message } from '#libs/protocol';
import { arbitraryMessage, KINDS } from '../../test/arbitraries.js';
import { ackOn, txidOn } from '../../test/inbox.js';
import { mutated } from '../../test/mutations.js';
import { flawOf } from '../../test/well-formed.js';
import type { InboxRole } from './decoder.js';
import { DecodeError, type DecodeErrorCode, MessageTooLargeError } from './errors.js';
import { MAX_JSON_DEPTH } from './json-guard.js';
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

/** Where a message of this kind may be found. */
const inboxesOf = (message: Message): readonly InboxRole[] => ROLES.filter((role) => decodeRecord(recordOf(message), role).rejected.length === 0);

describe.each(KINDS.map(({ protocol, kind, arbitrary }) => [protocol === null ? kind : `${kind} of ${protocol}`, arbitrary] as const))('%s', (_name, arbitrary) => {
  it('comes back from a record as it went in, in the inboxes that take it', () => {
    fc.assert(fc.property(fc.array(arbitrary, { minLength: 1, maxLength: 5 }), (messages) => {
      const roles = inboxesOf(messages[0]!);
      expect(roles.length).toBeGreaterThan(0);
      for (const role of roles) {
        const decoded = encodeRecords('orders/1', messages).map((value) => decodeRecord(value, role));
        expect(decoded.flatMap((record) => record.rejected)).toEqual([]);
        expect(decoded.flatMap((record) => record.messages)).toEqual(messages);
      }
      expect(messages.map(flawOf)).toEqual(messages.map(() => null));
    }), { numRuns: 50 });
  });

  it('is accepted in no form that is malformed, and refused with a typed error only', () => {
    fc.assert(fc.property(arbitrary.chain((message) => mutated(message)), fc.constantFrom(...ROLES), (mutant, role) => {
      const { messages, rejected } = decodeRecord(recordOf(mutant), role);
      expect(messages.length + rejected.length).toBe(1);
      for (const { error } of rejected) expect(error).toBeInstanceOf(DecodeError);
      for (const message of messages) {
        expect(flawOf(message)).toBeNull();
        expect(withDefaults(JSON.parse(JSON.stringify(mutant)))).toMatchObject(message);
      }
    }), { numRuns: 300 });
  });
});

/** Of an announcement, which may leave out what its first version did not know. */
function withDefaults(mutant: any): unknown {
  if (mutant.kind !== 'ANNOUNCE') return mutant;
  return { acceptor: false, ...mutant, operations: mutant.operations.map((operation: object) => ({ uses: ['branch'], stepKinds: [], ...operation })) };
}

describe('records', () => {
  it('hold messages of all protocols, in order', () => {
    fc.assert(fc.property(fc.array(arbitraryMessage, { minLength: 1, maxLength: 20 }), (messages) => {
      for (const role of ROLES) {
        const taken = messages.filter((message) => inboxesOf(message).includes(role));
        const decoded = encodeRecords('orders/1', messages).map((value) => decodeRecord(value, role));
        expect(decoded.flatMap((record) => record.messages)).toEqual(taken);
        expect(new Set(decoded.flatMap((record) => record.rejected.map(({ error }) => error.code)))).toEqual(new Set(taken.length < messages.length ? ['WRONG_INBOX'] : []));
        expect(new Set(decoded.map((record) => record.sender))).toEqual(new Set(['orders/1']));
      }
    }));
  });

  it('never fail to decode in any other way than with a typed error, whatever the bytes', () => {
    const jsonBytes = fc.json().map((text) => Buffer.from(text));
    const nearlyRight = fc.record({ v: fc.constant(1), sender: fc.constant('x'), messages: fc.array(fc.oneof(fc.jsonValue(), arbitraryMessage)) }).chain(mutated).map((value) => Buffer.from(JSON.stringify(value) ?? ''));
    fc.assert(fc.property(fc.oneof(fc.uint8Array().map((bytes) => Buffer.from(bytes)), jsonBytes, nearlyRight), fc.constantFrom(...ROLES), (bytes, role) => {
      expect(typeof codeOf(bytes, role)).toBe('string');
    }), { numRuns: 500 });
  });
});

describe('an inbox', () => {
  const found = (role: InboxRole): readonly string[] => KINDS.filter(({ arbitrary }) => inboxesOf(fc.sample(arbitrary, 1)[0]!).includes(role)).map(({ protocol, kind }) => `${protocol ?? ''} ${kind}`.trim());

  it('of a coordinator takes what its own roles are told', () => {
    expect(found('coordinator')).toEqual([
      '2pc VOTE', '2pc ONE_PHASE_OUTCOME', '2pc ACK', '2pc INQUIRY',
      '3pc VOTE', '3pc ACK', '3pc PRE_COMMIT', '3pc PRE_ABORT', '3pc PRE_ACK', '3pc COMMIT', '3pc ABORT', '3pc STATE_REQUEST', '3pc STATE_REPLY', '3pc REFUSED',
      'paxos-commit PHASE_1B', 'paxos-commit PHASE_2B', 'paxos-commit REFUSED', 'paxos-commit VOTE', 'paxos-commit ACK', 'paxos-commit INQUIRY',
      'saga EXECUTED', 'saga REFUSED', 'saga FAILED', 'saga COMPENSATED', 'saga CANCELLED', 'ANNOUNCE',
    ]);
  });

  it('of a participant takes what participant, acceptor and leader of that site are told', () => {
    expect(found('participant')).toEqual([
      '2pc PREPARE', '2pc PREPARE_AND_COMMIT', '2pc COMMIT', '2pc ABORT', '2pc ABORT_ONE_PHASE', '2pc PEER_INQUIRY', '2pc PEER_STATE',
      '3pc PREPARE', '3pc PRE_COMMIT', '3pc PRE_ABORT', '3pc PRE_ACK', '3pc COMMIT', '3pc ABORT', '3pc STATE_REQUEST', '3pc STATE_REPLY', '3pc REFUSED',
      'paxos-commit PREPARE', 'paxos-commit COMMIT', 'paxos-commit ABORT', 'paxos-commit PHASE_1A', 'paxos-commit PHASE_2A', 'paxos-commit PHASE_1B', 'paxos-commit PHASE_2B',
      'paxos-commit REFUSED', 'paxos-commit LEAD', 'saga EXECUTE', 'saga COMPENSATE', 'saga CANCEL_STEP',
    ]);
  });
});

describe('an announcement of an older version', () => {
  const old = { kind: 'ANNOUNCE', participant: 'payments', instance: '1', version: '1', operations: [{ name: 'debit', payloadSchema: {} }] };

  it('tells of branches, and of no steps and no acceptor', () => {
    expect(decodeRecord(recordOf(old), 'coordinator').messages).toEqual([{ ...old, acceptor: false, operations: [{ name: 'debit', payloadSchema: {}, uses: ['branch'], stepKinds: [] }] }]);
  });

  it.each([
    ['steps of no kind', { uses: ['step'] }], ['kinds of step without steps', { stepKinds: ['pivot'] }], ['no use at all', { uses: [] }], ['an unknown use', { uses: ['branch', 'dance'] }],
  ])('is refused with %s', (_what, more) => {
    expect(codeOf(recordOf({ ...old, operations: [{ ...old.operations[0], ...more }] }))).toBe('INVALID_MESSAGE');
  });
});

describe('an undecodable record gets a stable code', () => {
  const vote = { kind: 'VOTE', txid, branch: 0, vote: 'yes' };
  const prepare = { kind: 'PREPARE', txid, branch: 0, operation: 'debit', payload: {}, peers: ['payments'] };
  const preCommit = { protocol: '3pc', kind: 'PRE_COMMIT', txid, from: 1, to: 0, election: { n: 1, site: 1 }, peers: ['payments'] };
  const lead = { protocol: 'paxos-commit', kind: 'LEAD', txid, peers: ['payments'], acceptors: ['payments'] };
  const proposal = { protocol: 'paxos-commit', kind: 'PHASE_2A', txid, ballot: { n: 0, leader: 0 }, peers: ['payments'], values: ['prepared'], leader: { role: 'coordinator' } };
  const execute = { protocol: 'saga', kind: 'EXECUTE', txid, branch: 0, step: 'debit', stepKind: 'pivot', operation: 'debit', payload: {}, inputs: {} };

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
    ['an unknown protocol', recordOf({ ...vote, protocol: '4pc' }), 'UNKNOWN_KIND'],
    ['a protocol that every object has', recordOf({ ...vote, protocol: 'constructor' }), 'UNKNOWN_KIND'],
    ['a protocol that names itself nowhere', recordOf({ ...vote, protocol: '2pc' }), 'UNKNOWN_KIND'],
    ['a kind of another protocol', recordOf({ ...vote, protocol: 'saga' }), 'UNKNOWN_KIND'],
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
    ['an election of nobody', { ...preCommit, election: { n: 0, site: -1 } }],
    ['a site beyond the coordinator', { ...preCommit, to: 2 }],
    ['an elected site beyond the coordinator', { ...preCommit, election: { n: 1, site: 2 } }],
    ['an acceptor twice', { ...lead, acceptors: ['orders', 'orders', 'payments'] }],
    ['no acceptor', { ...lead, acceptors: [] }],
    ['values for fewer branches than there are', { ...proposal, peers: ['orders', 'payments'] }],
    ['a proposal of nothing', { ...proposal, values: [null] }],
    ['a leader’s proposal with a gap', { ...proposal, ballot: { n: 1, leader: 0 }, values: [null] }],
    ['ballot 0 with a leader', { ...proposal, ballot: { n: 0, leader: 1 } }],
    ['a leader without name', { ...proposal, leader: { role: 'leader' } }],
    ['a step whose inputs are a list', { ...execute, inputs: [] }],
    ['a step beyond the hundredth', { ...execute, branch: 100 }],
  ])('%s', (_what, message) => {
    expect(codeOf(recordOf(message), 'participant')).toBe('INVALID_MESSAGE');
  });

  it.each([['PRE_COMMIT', preCommit], ['LEAD', lead], ['PHASE_2A', proposal], ['EXECUTE', execute]])('%s as it should be is none', (_what, message) => {
    expect(codeOf(recordOf(message), 'participant')).toBe('decoded');
  });

  it('a result nested up to the limit may be the input of another step', () => {
    const deep = JSON.parse(nested(MAX_JSON_DEPTH)) as unknown;
    expect(codeOf(recordOf({ protocol: 'saga', kind: 'EXECUTED', txid, branch: 0, step: 'a', result: deep }))).toBe('decoded');
    expect(codeOf(recordOf({ ...execute, inputs: { a: deep } }), 'participant')).toBe('decoded');
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
