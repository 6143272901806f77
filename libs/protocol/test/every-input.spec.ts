import { describe, expect, test } from '@jest/globals';
import {
  COORDINATOR_IGNORES, makeTxid, PARTICIPANT_IGNORES, stepCoordinator, stepParticipant,
  type BranchProgress, type CoordinatorInput, type CoordinatorState, type ParticipantConfig, type ParticipantInput, type ParticipantState, type ToCoordinator, type ToParticipant,
  type TransactionSpec, type Txid,
} from '../src/index.js';
import { explore, type Exploration } from './exploration.js';

const NOW_MS = Date.UTC(2026, 0, 2);
const DAY_MS = 86_400_000;
const TXID = makeTxid(1, NOW_MS - 1000, new Uint8Array(8));
const OTHER = makeTxid(2, NOW_MS - 1000, new Uint8Array(8));
const OLD = makeTxid(1, NOW_MS - 2 * DAY_MS, new Uint8Array(8));
const REASON = { code: 'BECAUSE' };

function spec(participants: readonly string[], waitFor: TransactionSpec['waitFor']): TransactionSpec {
  const branches = participants.map((participant) => ({ participant, operation: 'work', payload: { a: [1] } }));
  return { txid: TXID, protocol: '2pc', branches, createdAtMs: NOW_MS - 1000, deadlineMs: NOW_MS + 1000, waitFor };
}

function toCoordinator(txid: Txid, branch: number): readonly ToCoordinator[] {
  const about = { txid, branch };
  return [
    { ...about, kind: 'VOTE', vote: 'yes', result: 7 }, { ...about, kind: 'VOTE', vote: 'no', reason: REASON }, { ...about, kind: 'VOTE', vote: 'no' },
    { ...about, kind: 'VOTE', vote: 'read-only' }, { ...about, kind: 'ACK' }, { ...about, kind: 'INQUIRY', participant: 'p0' },
    { ...about, kind: 'ONE_PHASE_OUTCOME', outcome: 'committed' }, { ...about, kind: 'ONE_PHASE_OUTCOME', outcome: 'aborted' },
  ];
}

function coordinatorInputs(of: TransactionSpec): readonly CoordinatorInput[] {
  const yes: BranchProgress = { vote: 'yes', reason: null, result: null, acked: false, attempts: 1 };
  const branches = of.branches.map(() => yes);
  const messages = [...toCoordinator(TXID, 0), ...toCoordinator(TXID, 1), ...toCoordinator(TXID, 9), ...toCoordinator(OTHER, 0)];
  return [
    ...messages.map((message) => ({ kind: 'MESSAGE', message } as const)),
    { kind: 'START', spec: of }, { kind: 'START', spec: { ...of, branches: [] } },
    { kind: 'RECOVER', spec: of, register: null },
    { kind: 'RECOVER', spec: of, register: { decision: 'COMMIT', reason: null, branches, atMs: NOW_MS } },
    { kind: 'RECOVER', spec: of, register: { decision: 'ABORT', reason: REASON, branches: [], atMs: NOW_MS } },
    { kind: 'REGISTERED', decision: 'COMMIT', reason: null, atMs: NOW_MS }, { kind: 'REGISTERED', decision: 'ABORT', reason: null, atMs: NOW_MS },
    { kind: 'REGISTERED', decision: 'COMMIT', reason: null, atMs: NOW_MS, branches }, { kind: 'REGISTERED', decision: 'ABORT', reason: REASON, atMs: NOW_MS, branches: [] },
    { kind: 'TIMER', timer: 'prepare-timeout', attempt: 0 }, { kind: 'TIMER', timer: 'resend', attempt: 0 }, { kind: 'TIMER', timer: 'resend', attempt: 5000 },
    { kind: 'CANCEL', reason: REASON }, { kind: 'RESOLVE', reason: REASON }, { kind: 'RETRY_NOW' },
  ];
}

const withoutAttempts = (state: unknown) => JSON.stringify(state, (key, value: unknown) => (key === 'attempts' ? 0 : value));

function exploreCoordinator(of: TransactionSpec): Exploration {
  const config = { resendAfterMs: 100, maxResendIntervalMs: 1000 };
  const step = (state: CoordinatorState | null, input: CoordinatorInput) => stepCoordinator(state, input, NOW_MS, config);
  return explore(null, coordinatorInputs(of), step, withoutAttempts);
}

function toParticipant(txid: Txid, branch: number): readonly ToParticipant[] {
  const about = { txid, branch };
  const peers = ['p0', 'p1'];
  const work = { operation: 'work', payload: { a: [1] } };
  return [
    { ...about, ...work, kind: 'PREPARE', peers }, { ...about, ...work, kind: 'PREPARE_AND_COMMIT' }, { ...about, kind: 'COMMIT' },
    { ...about, kind: 'ABORT', reason: REASON }, { ...about, kind: 'ABORT', reason: REASON, ack: true }, { ...about, kind: 'ABORT_ONE_PHASE', reason: REASON },
    { ...about, kind: 'PEER_INQUIRY', from: 1, peers }, { ...about, kind: 'PEER_INQUIRY', from: 9, peers },
    ...(['committed', 'aborted', 'uncertain'] as const).map((state) => ({ ...about, kind: 'PEER_STATE', from: 1, state } as const)),
  ];
}

const PARTICIPANT_INPUTS: readonly ParticipantInput[] = [
  ...[...toParticipant(TXID, 0), ...toParticipant(OLD, 0), ...toParticipant(TXID, 1), ...toParticipant(OTHER, 0)].map((message) => ({ kind: 'MESSAGE', message } as const)),
  { kind: 'EXECUTED', vote: null }, { kind: 'EXECUTED', vote: { vote: 'yes', result: { b: 2 } } }, { kind: 'EXECUTED', vote: { vote: 'no' } },
  { kind: 'EXECUTED', vote: { vote: 'no', reason: REASON } }, { kind: 'EXECUTED', vote: { vote: 'read-only' } },
  { kind: 'TIMER', timer: 'inquire', attempt: 0 }, { kind: 'TIMER', timer: 'inquire', attempt: 5000 }, { kind: 'RECOVER' },
];

function exploreParticipant(): Exploration {
  const config: ParticipantConfig = { name: 'p0', inquireAfterMs: 100, maxInquireIntervalMs: 1000, askPeersAfterInquiries: 1, rowsKeptMs: DAY_MS };
  const step = (state: ParticipantState, input: ParticipantInput) => stepParticipant(state, input, NOW_MS, config);
  return explore<ParticipantState, ParticipantInput>({ phase: 'none' }, PARTICIPANT_INPUTS, step, (state) => JSON.stringify(state));
}

describe('every input in every reachable state is answered, ignored by a named rule or refused with UnexpectedInputError; arguments stay as they were', () => {
  const explorations = [
    exploreCoordinator(spec(['p0'], 'decided')), exploreCoordinator(spec(['p0', 'p1'], 'decided')), exploreCoordinator(spec(['p0', 'p1'], 'finished')),
  ];

  test.each(['one branch', 'two branches', 'two branches, waiting for finished'].map((name, i) => [name, explorations[i]!] as const))('coordinator: %s', (_name, { states, refusals }) => {
    expect(states).toBeGreaterThan(5);
    expect(refusals).toBeGreaterThan(states);
  });

  test('coordinator: every ignore rule has a case', () => {
    const used = new Set(explorations.flatMap(({ ignores }) => [...ignores]));
    expect([...used].sort()).toEqual(Object.keys(COORDINATOR_IGNORES).sort());
  });

  test('participant, and every ignore rule has a case', () => {
    const { states, refusals, ignores } = exploreParticipant();
    expect(states).toBeGreaterThan(20);
    expect(refusals).toBeGreaterThan(states);
    expect([...ignores].sort()).toEqual(Object.keys(PARTICIPANT_IGNORES).sort());
  });
});
