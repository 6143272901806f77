/**
 * Two processes in front of one participant's database: rows are shared and read again for every step, rounds are in memory. One was
 * replaced while its round was under way and does not know it.
 */
import { expect, test } from '@jest/globals';
import {
  makeTxid, stepThreePhaseCoordinator, stepThreePhaseParticipant, THREE_PHASE_COORDINATOR_DEFAULTS, THREE_PHASE_RESOLVER_DEFAULTS,
  type Election, type SiteRow, type ThreePhaseBranchRow, type ThreePhaseCoordinatorState, type ThreePhaseMessage, type ThreePhaseParticipantState, type TransactionSpec,
} from '../src/index.js';

const NOW_MS = Date.UTC(2026, 0, 2);
const TXID = makeTxid(1, NOW_MS - 1000, new Uint8Array(8));
const PEERS = ['p0', 'p1'];
const COORDINATOR = PEERS.length;
const FIRST: Election = { n: 1, site: COORDINATOR };
const NONE: Election = { n: 0, site: -1 };
const TO_P0 = { protocol: '3pc', txid: TXID, from: 1, to: 0 } as const;

type Stored = Extract<ThreePhaseParticipantState, { phase: 'stored' }>;

const PREPARED: ThreePhaseBranchRow = {
  txid: TXID, branch: 0, state: 'prepared', lastElected: FIRST, lastAttempt: NONE, reason: null, readOnly: false, operation: 'work', payload: null, peers: PEERS,
  result: null, updatedAtMs: NOW_MS,
};

function p0(row: ThreePhaseBranchRow, round: Stored['round'], input: Parameters<typeof stepThreePhaseParticipant>[1]) {
  const { state, ready, ignored } = stepThreePhaseParticipant({ phase: 'stored', row, round, seen: 0 }, input, NOW_MS, { ...THREE_PHASE_RESOLVER_DEFAULTS, name: 'p0' });
  return { state: state as Stored, messages: ready.messages.map(({ message }) => message), ignored };
}

/** p0 has stood as (2, 0); then the new process promised (3, 1), and followed its PRE_COMMIT, with which p1 committed. */
function replacedInItsRound() {
  const old = p0(PREPARED, null, { kind: 'TIMER', timer: 'resolve', attempt: 0 }).state;
  const election: Election = { n: 3, site: 1 };
  const promised = p0(old.row, null, { kind: 'MESSAGE', message: { ...TO_P0, kind: 'STATE_REQUEST', election, peers: PEERS } }).state;
  const followed = p0(promised.row, null, { kind: 'MESSAGE', message: { ...TO_P0, kind: 'PRE_COMMIT', election, peers: PEERS } }).state;
  const lateReply: ThreePhaseMessage = { ...TO_P0, kind: 'STATE_REPLY', election: { n: 2, site: 0 }, state: 'prepared', lastAttempt: NONE };
  return { row: followed.row, late: p0(followed.row, old.round, { kind: 'MESSAGE', message: lateReply }) };
}

test('a round that the row has left behind attempts nothing: the promise and the attempt that another process followed stay', () => {
  const { row, late } = replacedInItsRound();
  expect(late.ignored).toBe('late-reply');
  expect(late.messages).toEqual([]);
  expect(late.state.row).toEqual(row);
});

test('so whoever resolves next, with p0 and without p1, attempts what p1 has committed', () => {
  const spec: TransactionSpec = {
    txid: TXID, protocol: '3pc', createdAtMs: NOW_MS - 1000, deadlineMs: NOW_MS + 1000, waitFor: 'decided',
    branches: PEERS.map((participant) => ({ participant, operation: 'work', payload: null })),
  };
  const site: SiteRow = { state: 'pre-committed', lastElected: { n: 3, site: 1 }, lastAttempt: FIRST, reason: null };
  const coordinator = (state: ThreePhaseCoordinatorState | null, input: Parameters<typeof stepThreePhaseCoordinator>[1]) => (
    stepThreePhaseCoordinator(state, input, NOW_MS, THREE_PHASE_COORDINATOR_DEFAULTS)
  );
  const standing = coordinator(null, { kind: 'RECOVER', spec, site, branches: [], decidedAtMs: null, finished: false });
  const request = standing.ready.messages.find(({ message }) => message.to === 0)!.message as Extract<ThreePhaseMessage, { kind: 'STATE_REQUEST' }>;
  const [reply] = p0(replacedInItsRound().late.state.row, null, { kind: 'MESSAGE', message: request }).messages;
  const { ready } = coordinator(standing.state, { kind: 'MESSAGE', message: reply as Extract<ThreePhaseMessage, { kind: 'STATE_REPLY' }> });
  expect(ready.messages.map(({ message }) => message.kind)).toEqual(['PRE_COMMIT', 'PRE_COMMIT']);
});
