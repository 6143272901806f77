import fc from 'fast-check';
import {
  type Announce, type Json, makeTxid, MAX_SHARDS, type Message, type PaxosMessage, type ProtocolName, type SagaMessage, type ThreePhaseMessage,
  type TwoPhaseMessage, type Txid,
} from '#libs/protocol';

/** One arbitrary per kind: a kind without one does not compile. */
type ArbitrariesOf<M extends { readonly kind: string }> = { readonly [K in M['kind']]: fc.Arbitrary<Extract<M, { readonly kind: K }>> };

/** Any text that stores accept: everything but U+0000 and lone surrogates. */
const text = (maxLength: number): fc.Arbitrary<string> => fc.string({ unit: 'binary', maxLength }).map((s) => s.replaceAll('\0', ''));
const participant = fc.stringMatching(/^[A-Za-z0-9][A-Za-z0-9._-]{0,20}$/);
/** Without -0, which JSON does not know. */
const json = fc.jsonValue({ stringUnit: 'binary', maxDepth: 4 }).map((value) => JSON.parse(JSON.stringify(value).replaceAll('\\u0000', '')) as Json);
export const arbitraryTxid: fc.Arbitrary<Txid> = fc.tuple(fc.nat(MAX_SHARDS - 1), fc.nat(2 ** 45), fc.uint8Array({ minLength: 8, maxLength: 8 })).map(([shard, at, random]) => makeTxid(shard, at, random));
const txid = arbitraryTxid;
const branch = fc.nat(9_999);
const reason = fc.record({ code: text(30), participant, detail: text(100) }, { requiredKeys: ['code'] });
const peers = fc.array(participant, { minLength: 1, maxLength: 6 });
const choice = <const T extends readonly [string, ...string[]]>(...choices: T): fc.Arbitrary<T[number]> => fc.constantFrom(...choices);
const kind = <const K extends string>(name: K): fc.Arbitrary<K> => fc.constant(name);

/** A record whose fields with a leading `?` may be absent. */
type Optional<T> = { [K in keyof T as K extends `?${infer Name}` ? Name : never]?: T[K] } & { [K in keyof T as K extends `?${string}` ? never : K]: T[K] };
function message<T extends object>(fields: { [K in keyof T]: fc.Arbitrary<T[K]> }): fc.Arbitrary<Optional<T>> {
  const entries = Object.entries(fields) as [string, fc.Arbitrary<unknown>][];
  const requiredKeys = entries.map(([name]) => name).filter((name) => !name.startsWith('?'));
  return fc.record(Object.fromEntries(entries.map(([name, value]) => [name.replace('?', ''), value])), { requiredKeys }) as fc.Arbitrary<never>;
}

const TWO_PHASE: ArbitrariesOf<TwoPhaseMessage> = {
  PREPARE: peers.chain((names) => message({ kind: kind('PREPARE'), txid, branch: fc.nat(names.length - 1), operation: text(50), payload: json, peers: fc.constant(names) })),
  PREPARE_AND_COMMIT: message({ kind: kind('PREPARE_AND_COMMIT'), txid, branch, operation: text(50), payload: json }),
  COMMIT: message({ kind: kind('COMMIT'), txid, branch }),
  ABORT: message({ kind: kind('ABORT'), txid, branch, reason, '?ack': fc.boolean() }),
  ABORT_ONE_PHASE: message({ kind: kind('ABORT_ONE_PHASE'), txid, branch, reason }),
  PEER_INQUIRY: peers.chain((names) => message({ kind: kind('PEER_INQUIRY'), txid, branch: fc.nat(names.length - 1), from: fc.nat(names.length - 1), peers: fc.constant(names) })),
  PEER_STATE: message({ kind: kind('PEER_STATE'), txid, branch, from: branch, state: choice('committed', 'aborted', 'uncertain') }),
  VOTE: message({ kind: kind('VOTE'), txid, branch, vote: choice('yes', 'no', 'read-only'), '?reason': reason, '?result': json }),
  ONE_PHASE_OUTCOME: message({ kind: kind('ONE_PHASE_OUTCOME'), txid, branch, outcome: choice('committed', 'aborted'), '?reason': reason, '?result': json }),
  ACK: message({ kind: kind('ACK'), txid, branch }),
  INQUIRY: message({ kind: kind('INQUIRY'), txid, branch, participant }),
};

const site = fc.nat(10_000);
const election = message({ n: fc.integer({ min: 1, max: 1_000_000_000 }), site });
const attempt = fc.oneof(election, fc.constant({ n: 0, site: -1 }));
const threePhase = { protocol: kind('3pc'), txid, from: site, to: site };
/** Messages that carry the peers name only sites that are among them. */
const withPeers = <T>(make: (about: { protocol: fc.Arbitrary<'3pc'>; txid: fc.Arbitrary<Txid>; from: fc.Arbitrary<number>; to: fc.Arbitrary<number>; peers: fc.Arbitrary<string[]> }, elected: typeof election) => fc.Arbitrary<T>): fc.Arbitrary<T> =>
  peers.chain((names) => {
    const among = fc.nat(names.length);
    return make({ protocol: kind('3pc'), txid, from: among, to: among, peers: fc.constant(names) }, message({ n: fc.integer({ min: 1, max: 1_000_000_000 }), site: among }));
  });

const THREE_PHASE: ArbitrariesOf<ThreePhaseMessage> = {
  PREPARE: withPeers((about) => message({ ...about, kind: kind('PREPARE'), operation: text(50), payload: json })),
  VOTE: message({ ...threePhase, kind: kind('VOTE'), vote: choice('yes', 'no', 'read-only'), '?reason': reason, '?result': json }),
  ACK: message({ ...threePhase, kind: kind('ACK') }),
  PRE_COMMIT: withPeers((about, elected) => message({ ...about, kind: kind('PRE_COMMIT'), election: elected })),
  PRE_ABORT: withPeers((about, elected) => message({ ...about, kind: kind('PRE_ABORT'), election: elected })),
  PRE_ACK: message({ ...threePhase, kind: kind('PRE_ACK'), election, state: choice('pre-committed', 'pre-aborted', 'committed', 'aborted'), '?reason': reason }),
  COMMIT: message({ ...threePhase, kind: kind('COMMIT'), '?ack': fc.boolean() }),
  ABORT: message({ ...threePhase, kind: kind('ABORT'), reason, '?ack': fc.boolean() }),
  STATE_REQUEST: withPeers((about, elected) => message({ ...about, kind: kind('STATE_REQUEST'), election: elected })),
  STATE_REPLY: message({
    ...threePhase, kind: kind('STATE_REPLY'), election, lastAttempt: attempt, '?reason': reason,
    state: choice('waiting', 'prepared', 'pre-committed', 'pre-aborted', 'committed', 'aborted'),
  }),
  REFUSED: message({ ...threePhase, kind: kind('REFUSED'), election, lastElected: election }),
};

const value = choice('prepared', 'read-only', 'aborted');
const ballotZero = fc.constant({ n: 0, leader: 0 });
const ledBallot = message({ n: fc.integer({ min: 1, max: 1_000_000_000 }), leader: fc.maxSafeNat() });
const ballot = fc.oneof(ballotZero, ledBallot);
const leader = fc.oneof(fc.constant({ role: 'coordinator' as const }), message({ role: kind('leader'), name: participant }));
const acceptors = fc.uniqueArray(participant, { minLength: 1, maxLength: 7 });
const paxos = { protocol: kind('paxos-commit'), txid };

const PAXOS: ArbitrariesOf<PaxosMessage> = {
  PREPARE: peers.chain((names) => message({ ...paxos, kind: kind('PREPARE'), branch: fc.nat(names.length - 1), operation: text(50), payload: json, peers: fc.constant(names), acceptors })),
  COMMIT: message({ ...paxos, kind: kind('COMMIT'), branch }),
  ABORT: message({ ...paxos, kind: kind('ABORT'), branch, reason, '?ack': fc.boolean() }),
  PHASE_1A: message({ ...paxos, kind: kind('PHASE_1A'), ballot: ledBallot, peers, leader }),
  PHASE_2A: peers.chain((names) => {
    const [one, length] = [fc.nat(names.length - 1), { minLength: names.length, maxLength: names.length }];
    const own = fc.tuple(one, value).map(([at, vote]) => names.map((_, i) => (i === at ? vote : null)));
    return fc.oneof(fc.record({ ballot: ballotZero, values: own }), fc.record({ ballot: ledBallot, values: fc.array(value, length) }))
      .chain((proposal) => message({ ...paxos, kind: kind('PHASE_2A'), ballot: fc.constant(proposal.ballot), peers: fc.constant(names), values: fc.constant(proposal.values), leader }));
  }),
  PHASE_1B: message({ ...paxos, kind: kind('PHASE_1B'), acceptor: participant, ballot: ledBallot, accepted: fc.array(fc.option(message({ ballot, value })), { minLength: 1, maxLength: 6 }) }),
  PHASE_2B: message({ ...paxos, kind: kind('PHASE_2B'), acceptor: participant, ballot, values: fc.array(value, { minLength: 1, maxLength: 6 }) }),
  REFUSED: message({ ...paxos, kind: kind('REFUSED'), acceptor: participant, ballot, promised: ballot }),
  VOTE: message({ ...paxos, kind: kind('VOTE'), branch, vote: kind('no'), reason }),
  ACK: message({ ...paxos, kind: kind('ACK'), branch }),
  INQUIRY: message({ ...paxos, kind: kind('INQUIRY'), branch, participant }),
  LEAD: message({ ...paxos, kind: kind('LEAD'), peers, acceptors }),
};

const saga = { protocol: kind('saga'), txid, branch: fc.nat(99), step: text(50) };
const stepKind = choice('compensatable', 'pivot', 'retriable');

const SAGA: ArbitrariesOf<SagaMessage> = {
  EXECUTE: message({ ...saga, kind: kind('EXECUTE'), stepKind, operation: text(50), payload: json, inputs: fc.dictionary(text(20), json, { maxKeys: 5 }) }),
  COMPENSATE: message({ ...saga, kind: kind('COMPENSATE'), reason }),
  CANCEL_STEP: message({ ...saga, kind: kind('CANCEL_STEP'), reason }),
  EXECUTED: message({ ...saga, kind: kind('EXECUTED'), result: json }),
  REFUSED: message({ ...saga, kind: kind('REFUSED'), reason }),
  FAILED: message({ ...saga, kind: kind('FAILED'), action: choice('execute', 'compensate'), reason }),
  COMPENSATED: message({ ...saga, kind: kind('COMPENSATED') }),
  CANCELLED: message({ ...saga, kind: kind('CANCELLED') }),
};

const operation = fc.oneof(
  message({ name: text(20), uses: fc.constant(['branch' as const]), stepKinds: fc.constant([]), payloadSchema: json }),
  message({ name: text(20), uses: fc.constantFrom(['step' as const], ['branch' as const, 'step' as const]), stepKinds: fc.uniqueArray(stepKind, { minLength: 1 }), payloadSchema: json }),
);
const announcement: fc.Arbitrary<Announce> = message({ kind: kind('ANNOUNCE'), participant, instance: text(30), version: text(10), operations: fc.array(operation, { maxLength: 3 }), acceptor: fc.boolean() });

type Arbitraries = Readonly<Record<string, fc.Arbitrary<Message>>>;
const PROTOCOLS: { readonly [P in ProtocolName]: Arbitraries } = { '2pc': TWO_PHASE, '3pc': THREE_PHASE, 'paxos-commit': PAXOS, saga: SAGA };

/** Every kind of message of every protocol, and the announcement, which belongs to none. */
export const KINDS: readonly { readonly protocol: ProtocolName | null; readonly kind: Message['kind']; readonly arbitrary: fc.Arbitrary<Message> }[] = [
  ...Object.entries(PROTOCOLS).flatMap(([protocol, kinds]) => Object.entries(kinds).map(([name, arbitrary]) => ({ protocol: protocol as ProtocolName, kind: name as Message['kind'], arbitrary }))),
  { protocol: null, kind: 'ANNOUNCE', arbitrary: announcement },
];

export const arbitraryMessage: fc.Arbitrary<Message> = fc.oneof(...KINDS.map(({ arbitrary }) => arbitrary));
