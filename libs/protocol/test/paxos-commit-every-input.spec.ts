import { describe, expect, test } from '@jest/globals';
import {
  ACCEPTOR_IGNORES, BALLOT_ZERO, makeTxid, PAXOS_LEADER_IGNORES, PAXOS_PARTICIPANT_IGNORES, restingLeader, stepAcceptor, stepPaxosLeader, stepPaxosParticipant,
  type AcceptorInput, type AcceptorState, type Ballot, type InstanceValue, type PaxosLeaderConfig, type PaxosLeaderInput, type PaxosLeaderState, type PaxosParticipantConfig,
  type PaxosParticipantInput, type PaxosParticipantState, type ToAcceptor, type ToPaxosLeader, type ToPaxosParticipant, type TransactionSpec, type Txid,
} from '../src/index.js';
import { explore, type Exploration } from './exploration.js';

const NOW_MS = Date.UTC(2026, 0, 2);
const DAY_MS = 86_400_000;
const TXID = makeTxid(1, NOW_MS - 1000, new Uint8Array(8));
const OTHER = makeTxid(2, NOW_MS - 1000, new Uint8Array(8));
const OLD = makeTxid(1, NOW_MS - 2 * DAY_MS, new Uint8Array(8));
const REASON = { code: 'BECAUSE' };
const PEERS = ['p0', 'p1'];
const ACCEPTORS = ['a0', 'a1', 'a2'];
const COORDINATOR = { role: 'coordinator' } as const;
const GROUP = { txid: TXID, peers: PEERS, acceptors: ACCEPTORS };

const about = (txid: Txid) => ({ protocol: 'paxos-commit', txid } as const);
const message = <M>(each: M) => ({ kind: 'MESSAGE', message: each } as const);

// ---------------------------------------------------------------- leader

function spec(waitFor: TransactionSpec['waitFor']): TransactionSpec {
  const branches = PEERS.map((participant) => ({ participant, operation: 'work', payload: { a: [1] } }));
  return { txid: TXID, protocol: 'paxos-commit', branches, createdAtMs: NOW_MS - 1000, deadlineMs: NOW_MS + 1000, waitFor };
}

function replies(acceptor: string, ballot: Ballot): readonly ToPaxosLeader[] {
  const reply = { ...about(TXID), acceptor, ballot };
  return [
    { ...reply, kind: 'PHASE_1B', accepted: [null, null] },
    { ...reply, kind: 'PHASE_1B', accepted: [{ ballot: BALLOT_ZERO, value: 'prepared' }, { ballot: BALLOT_ZERO, value: 'read-only' }] },
    { ...reply, kind: 'PHASE_2B', values: ['prepared', 'read-only'] }, { ...reply, kind: 'PHASE_2B', values: ['aborted', 'aborted'] },
    { ...reply, kind: 'REFUSED', promised: { n: ballot.n, leader: 999 } },
  ];
}

function fromParticipants(txid: Txid, branch: number): readonly ToPaxosLeader[] {
  const from = { ...about(txid), branch };
  return [{ ...from, kind: 'VOTE', vote: 'no', reason: REASON }, { ...from, kind: 'ACK' }, { ...from, kind: 'INQUIRY', participant: 'p0' }];
}

function leaderInputs(of: TransactionSpec): readonly PaxosLeaderInput[] {
  const ballots = [BALLOT_ZERO, { n: 1, leader: 7 }, { n: 2, leader: 7 }];
  const messages: readonly ToPaxosLeader[] = [
    ...['a0', 'a1'].flatMap((acceptor) => ballots.flatMap((ballot) => replies(acceptor, ballot))),
    { ...about(TXID), kind: 'PHASE_1B', acceptor: 'a9', ballot: ballots[1]!, accepted: [null, null] },
    { ...about(TXID), kind: 'PHASE_1B', acceptor: 'a2', ballot: ballots[1]!, accepted: [null] },
    { ...about(TXID), kind: 'PHASE_2B', acceptor: 'a2', ballot: ballots[1]!, values: ['prepared'] },
    ...fromParticipants(TXID, 0), ...fromParticipants(TXID, 1), ...fromParticipants(TXID, 9), ...fromParticipants(OTHER, 0),
    { ...about(TXID), kind: 'LEAD', peers: PEERS, acceptors: ACCEPTORS },
  ];
  return [
    ...messages.map(message),
    { kind: 'START', spec: of, acceptors: ACCEPTORS }, { kind: 'START', spec: of, acceptors: ['a0', 'a1'] },
    { kind: 'START', spec: { ...of, branches: of.branches.slice(1) }, acceptors: ACCEPTORS },
    { kind: 'RECOVER', group: GROUP, spec: of, ballot: null }, { kind: 'RECOVER', group: GROUP, spec: of, ballot: { n: 1, leader: 7 } },
    ...(['prepare-timeout', 'ballot', 'resend'] as const).flatMap((timer) => [0, 5000].map((attempt) => ({ kind: 'TIMER', timer, attempt } as const))),
    { kind: 'CANCEL', reason: REASON }, { kind: 'RESOLVE', reason: REASON }, { kind: 'RETRY_NOW' },
  ];
}

/** Ballots above the third are all alike to these inputs; reasons and times do not steer the machine. */
const withoutReasons = (state: unknown) => JSON.stringify(state, (key, value: unknown) => {
  if (key === 'n' || key === 'seenN') return Math.min(value as number, 3);
  return key === 'asked' || key === 'reason' ? null : value;
});

function exploreLeader(inputs: readonly PaxosLeaderInput[], config: Pick<PaxosLeaderConfig, 'address'>, initial: PaxosLeaderState | null = null): Exploration {
  const all: PaxosLeaderConfig = { ...config, leader: 7, resendAfterMs: 100, maxResendIntervalMs: 1000, staggerMs: 10, mostRepeats: 3 };
  const step = (state: PaxosLeaderState | null, input: PaxosLeaderInput) => stepPaxosLeader(state, input, NOW_MS, all);
  return explore(initial, inputs, step, withoutReasons);
}

/** On a participant's site nobody starts or recovers a client's transaction. */
function exploreElsewhere(initial: PaxosLeaderState | null): Exploration {
  const inputs = leaderInputs(spec('decided')).filter(({ kind }) => kind !== 'START' && kind !== 'RECOVER');
  return exploreLeader(inputs, { address: { role: 'leader', name: 'p0' } }, initial);
}

// ---------------------------------------------------------------- acceptor

function acceptorInputs(): readonly AcceptorInput[] {
  const ballots = [{ n: 1, leader: 1 }, { n: 1, leader: 2 }, { n: 2, leader: 1 }];
  const vote = (txid: Txid, values: readonly (InstanceValue | null)[]): ToAcceptor => ({ ...about(txid), kind: 'PHASE_2A', ballot: BALLOT_ZERO, peers: PEERS, values, leader: COORDINATOR });
  const led = (txid: Txid, ballot: Ballot): readonly ToAcceptor[] => [
    { ...about(txid), kind: 'PHASE_1A', ballot, peers: PEERS, leader: COORDINATOR },
    { ...about(txid), kind: 'PHASE_2A', ballot, peers: PEERS, leader: COORDINATOR, values: ['prepared', 'aborted'] },
  ];
  return [
    vote(TXID, ['prepared', null]), vote(TXID, [null, 'prepared']), vote(TXID, ['read-only', null]), vote(TXID, [null, 'read-only']), vote(TXID, ['prepared']),
    vote(OTHER, ['prepared', null]), vote(OLD, ['prepared', null]), ...ballots.flatMap((ballot) => led(TXID, ballot)), ...led(OLD, ballots[0]!), ...led(OTHER, ballots[0]!),
    { ...about(TXID), kind: 'PHASE_1A', ballot: BALLOT_ZERO, peers: PEERS, leader: COORDINATOR } satisfies ToAcceptor,
    { ...about(TXID), kind: 'PHASE_1A', ballot: ballots[2]!, peers: ['p0'], leader: COORDINATOR } satisfies ToAcceptor,
    { ...about(TXID), kind: 'PHASE_2A', ballot: ballots[2]!, peers: PEERS, leader: COORDINATOR, values: ['prepared', null] } satisfies ToAcceptor,
  ].map(message);
}

function exploreAcceptor(): Exploration {
  const step = (state: AcceptorState | null, input: AcceptorInput) => stepAcceptor(state, input, NOW_MS, { name: 'a0', rowsKeptMs: DAY_MS });
  return explore<AcceptorState | null, AcceptorInput>(null, acceptorInputs(), step, (state) => JSON.stringify(state));
}

// ---------------------------------------------------------------- participant

function toParticipant(txid: Txid, branch: number): readonly ToPaxosParticipant[] {
  const to = { ...about(txid), branch };
  return [
    { ...to, kind: 'PREPARE', operation: 'work', payload: { a: [1] }, peers: PEERS, acceptors: ACCEPTORS }, { ...to, kind: 'COMMIT' },
    { ...to, kind: 'ABORT', reason: REASON }, { ...to, kind: 'ABORT', reason: REASON, ack: true },
  ];
}

const PARTICIPANT_INPUTS: readonly PaxosParticipantInput[] = [
  ...[...toParticipant(TXID, 0), ...toParticipant(OLD, 0), ...toParticipant(TXID, 1), ...toParticipant(OTHER, 0)].map(message),
  { kind: 'EXECUTED', vote: null }, { kind: 'EXECUTED', vote: { vote: 'yes', result: { b: 2 } } }, { kind: 'EXECUTED', vote: { vote: 'no' } },
  { kind: 'EXECUTED', vote: { vote: 'no', reason: REASON } }, { kind: 'EXECUTED', vote: { vote: 'read-only' } },
  ...[0, 1, 2, 5000].map((attempt) => ({ kind: 'TIMER', timer: 'in-doubt', attempt } as const)), { kind: 'RECOVER' },
];

function exploreParticipant(): Exploration {
  const config: PaxosParticipantConfig = { name: 'p0', repeatAfterMs: 100, maxRepeatIntervalMs: 1000, staggerMs: 10, leadAfterRepeats: 2, rowsKeptMs: DAY_MS };
  const step = (state: PaxosParticipantState, input: PaxosParticipantInput) => stepPaxosParticipant(state, input, NOW_MS, config);
  return explore<PaxosParticipantState, PaxosParticipantInput>({ phase: 'none' }, PARTICIPANT_INPUTS, step, (state) => JSON.stringify(state));
}

describe('Paxos Commit: every input in every reachable state is answered, ignored by a named rule or refused with UnexpectedInputError; arguments stay as they were', () => {
  const coordinators = (['decided', 'finished'] as const).map((waitFor) => exploreLeader(leaderInputs(spec(waitFor)), { address: COORDINATOR }));
  const leaders = [...coordinators, exploreElsewhere(null), exploreElsewhere(restingLeader(GROUP, { n: 1, leader: 7 }))];

  test.each([
    ['the coordinator', 0], ['the coordinator of a client that waits for finished', 1], ['the leader on a participant\'s site', 2], ['the same after a restart', 3],
  ] as const)('%s', (_name, i) => {
    const { states, refusals } = leaders[i]!;
    expect(states).toBeGreaterThan(20);
    expect(refusals).toBeGreaterThan(states);
  });

  test('leader: every ignore rule has a case', () => {
    const used = new Set(leaders.flatMap(({ ignores }) => [...ignores]));
    expect([...used].sort()).toEqual(Object.keys(PAXOS_LEADER_IGNORES).sort());
  });

  test('acceptor, and every ignore rule has a case', () => {
    const { states, refusals, ignores } = exploreAcceptor();
    expect(states).toBeGreaterThan(20);
    expect(refusals).toBeGreaterThan(states);
    expect([...ignores].sort()).toEqual(Object.keys(ACCEPTOR_IGNORES).sort());
  });

  test('participant, and every ignore rule has a case', () => {
    const { states, refusals, ignores } = exploreParticipant();
    expect(states).toBeGreaterThan(10);
    expect(refusals).toBeGreaterThan(states);
    expect([...ignores].sort()).toEqual(Object.keys(PAXOS_PARTICIPANT_IGNORES).sort());
  });
});
