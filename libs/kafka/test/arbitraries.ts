import fc from 'fast-check';
import { type Json, makeTxid, MAX_SHARDS, type Message, type Txid } from '#libs/protocol';
import type { InboxRole } from '../src/codec/messages.js';

/** Any text that stores accept: everything but U+0000 and lone surrogates. */
const text = (maxLength: number): fc.Arbitrary<string> => fc.string({ unit: 'binary', maxLength }).map((s) => s.replaceAll('\0', ''));
const participant = fc.stringMatching(/^[A-Za-z0-9][A-Za-z0-9._-]{0,20}$/);
/** Without -0, which JSON does not know. */
const json = fc.jsonValue({ stringUnit: 'binary', maxDepth: 4 }).map((value) => JSON.parse(JSON.stringify(value).replaceAll('\\u0000', '')) as Json);
export const arbitraryTxid: fc.Arbitrary<Txid> = fc.tuple(fc.nat(MAX_SHARDS - 1), fc.nat(2 ** 45), fc.uint8Array({ minLength: 8, maxLength: 8 })).map(([shard, at, random]) => makeTxid(shard, at, random));
const branch = fc.nat(9_999);
const reason = fc.record({ code: text(30), participant, detail: text(100) }, { requiredKeys: ['code'] });
const peers = fc.array(participant, { minLength: 1, maxLength: 6 });
const some = { requiredKeys: ['kind', 'txid', 'branch'] } as const;

const toParticipant = fc.oneof(
  peers.chain((names) => fc.record({ kind: fc.constant('PREPARE' as const), txid: arbitraryTxid, branch: fc.nat(names.length - 1), operation: text(50), payload: json, peers: fc.constant(names) })),
  fc.record({ kind: fc.constant('PREPARE_AND_COMMIT' as const), txid: arbitraryTxid, branch, operation: text(50), payload: json }),
  fc.record({ kind: fc.constant('COMMIT' as const), txid: arbitraryTxid, branch }),
  fc.record({ kind: fc.constant('ABORT' as const), txid: arbitraryTxid, branch, reason, ack: fc.boolean() }, { requiredKeys: ['kind', 'txid', 'branch', 'reason'] }),
  fc.record({ kind: fc.constant('ABORT_ONE_PHASE' as const), txid: arbitraryTxid, branch, reason }),
  peers.chain((names) => fc.record({ kind: fc.constant('PEER_INQUIRY' as const), txid: arbitraryTxid, branch: fc.nat(names.length - 1), from: fc.nat(names.length - 1), peers: fc.constant(names) })),
  fc.record({ kind: fc.constant('PEER_STATE' as const), txid: arbitraryTxid, branch, from: branch, state: fc.constantFrom('committed' as const, 'aborted' as const, 'uncertain' as const) }),
);

const toCoordinator = fc.oneof(
  fc.record({ kind: fc.constant('VOTE' as const), txid: arbitraryTxid, branch, vote: fc.constantFrom('yes' as const, 'no' as const, 'read-only' as const), reason, result: json }, { requiredKeys: [...some.requiredKeys, 'vote'] }),
  fc.record({ kind: fc.constant('ONE_PHASE_OUTCOME' as const), txid: arbitraryTxid, branch, outcome: fc.constantFrom('committed' as const, 'aborted' as const), reason, result: json }, { requiredKeys: [...some.requiredKeys, 'outcome'] }),
  fc.record({ kind: fc.constant('ACK' as const), txid: arbitraryTxid, branch }),
  fc.record({ kind: fc.constant('INQUIRY' as const), txid: arbitraryTxid, branch, participant }),
  fc.record({ kind: fc.constant('ANNOUNCE' as const), participant, instance: text(30), version: text(10), operations: fc.array(fc.record({ name: text(20), payloadSchema: json }), { maxLength: 3 }) }),
);

/** Any message that may be found in an inbox of the role. */
export function arbitraryMessage(role: InboxRole): fc.Arbitrary<Message> {
  return role === 'coordinator' ? toCoordinator : toParticipant;
}
