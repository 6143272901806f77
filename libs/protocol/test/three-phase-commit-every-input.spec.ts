import { describe, expect, test } from '@jest/globals';
import {
  makeTxid, stepThreePhaseCoordinator, stepThreePhaseParticipant, THREE_PHASE_COORDINATOR_DEFAULTS, THREE_PHASE_COORDINATOR_IGNORES, THREE_PHASE_PARTICIPANT_IGNORES,
  THREE_PHASE_RESOLVER_DEFAULTS,
  type BranchProgress, type Election, type SiteRow, type SiteState, type ThreePhaseCoordinatorInput, type ThreePhaseCoordinatorState, type ThreePhaseMessage,
  type ThreePhaseParticipantInput, type ThreePhaseParticipantState, type ToThreePhaseCoordinator, type ToThreePhaseParticipant, type TransactionSpec, type Txid,
} from '../src/index.js';
import { explore } from './exploration.js';

const NOW_MS = Date.UTC(2026, 0, 2);
const DAY_MS = 86_400_000;
const TXID = makeTxid(1, NOW_MS - 1000, new Uint8Array(8));
const OTHER = makeTxid(2, NOW_MS - 1000, new Uint8Array(8));
const OLD = makeTxid(1, NOW_MS - 2 * DAY_MS, new Uint8Array(8));
const REASON = { code: 'BECAUSE' };
const PEERS = ['p0', 'p1', 'p2'];
const COORDINATOR = PEERS.length;
const NONE: Election = { n: 0, site: -1 };
const MOST_ELECTIONS = 3;

const FIRST: Election = { n: 1, site: COORDINATOR };

function elections(sites: readonly number[]): readonly Election[] {
  return [FIRST, ...sites.map((site) => ({ n: 2, site }))];
}

/** What sites send each other, with elections of both. */
function betweenSites(txid: Txid, from: number, to: number): readonly ThreePhaseMessage[] {
  const about = { protocol: '3pc', txid, from, to } as const;
  const replies: readonly { state: SiteState; lastAttempt: Election }[] = [
    { state: 'prepared', lastAttempt: NONE }, { state: 'pre-committed', lastAttempt: FIRST },
    { state: 'pre-aborted', lastAttempt: { n: 2, site: from } }, { state: 'committed', lastAttempt: NONE }, { state: 'aborted', lastAttempt: NONE },
  ];
  return [
    { ...about, kind: 'COMMIT' }, { ...about, kind: 'COMMIT', ack: true }, { ...about, kind: 'ABORT', reason: REASON }, { ...about, kind: 'ABORT', reason: REASON, ack: true },
    ...elections([from]).flatMap((election): ThreePhaseMessage[] => [
      { ...about, kind: 'STATE_REQUEST', election, peers: PEERS }, { ...about, kind: 'PRE_COMMIT', election, peers: PEERS }, { ...about, kind: 'PRE_ABORT', election, peers: PEERS },
    ]),
    ...elections([to]).flatMap((election): ThreePhaseMessage[] => [
      ...replies.map((reply): ThreePhaseMessage => ({ ...about, kind: 'STATE_REPLY', election, ...reply })),
      ...(['pre-committed', 'pre-aborted', 'committed', 'aborted'] as const).map((state): ThreePhaseMessage => ({ ...about, kind: 'PRE_ACK', election, state })),
      { ...about, kind: 'REFUSED', election, lastElected: { n: 3, site: from } },
    ]),
  ];
}

// ---------------------------------------------------------------- coordinator

function spec(waitFor: TransactionSpec['waitFor'], participants = PEERS): TransactionSpec {
  const branches = participants.map((participant) => ({ participant, operation: 'work', payload: { a: [1] } }));
  return { txid: TXID, protocol: '3pc', branches, createdAtMs: NOW_MS - 1000, deadlineMs: NOW_MS + 1000, waitFor };
}

function toCoordinator(txid: Txid, from: number, to = COORDINATOR): readonly ToThreePhaseCoordinator[] {
  const about = { protocol: '3pc', txid, from, to } as const;
  return [
    { ...about, kind: 'VOTE', vote: 'yes' }, { ...about, kind: 'VOTE', vote: 'no', reason: REASON }, { ...about, kind: 'VOTE', vote: 'read-only' },
    { ...about, kind: 'ACK' }, ...betweenSites(txid, from, to) as ToThreePhaseCoordinator[],
  ];
}

/** What a second and third branch must send so that there is a majority: fewer kinds, fewer states. */
function isPlain(message: ThreePhaseMessage): boolean {
  if (message.kind === 'VOTE') return message.vote === 'yes';
  return message.kind === 'ACK' || (message.kind === 'STATE_REPLY' && message.state === 'prepared') || (message.kind === 'PRE_ACK' && message.state === 'pre-committed');
}

function coordinatorInputs(of: TransactionSpec): readonly ThreePhaseCoordinatorInput[] {
  const yes: BranchProgress = { vote: 'yes', reason: null, result: null, acked: false, attempts: 1 };
  const rows: readonly SiteRow[] = [
    { state: 'waiting', lastElected: FIRST, lastAttempt: NONE, reason: null }, { state: 'pre-committed', lastElected: FIRST, lastAttempt: FIRST, reason: null },
    { state: 'committed', lastElected: FIRST, lastAttempt: FIRST, reason: null }, { state: 'aborted', lastElected: FIRST, lastAttempt: NONE, reason: REASON },
  ];
  const recoveries = rows.flatMap((site) => [true, false].map((finished) => (
    { kind: 'RECOVER', spec: of, site, branches: finished ? [] : [yes, yes, yes], decidedAtMs: null, finished } as const
  )));
  return [
    ...toCoordinator(TXID, 0).map((message) => ({ kind: 'MESSAGE', message } as const)),
    ...[1, 2].flatMap((from) => toCoordinator(TXID, from).filter(isPlain)).map((message) => ({ kind: 'MESSAGE', message } as const)),
    ...[...toCoordinator(TXID, 9), ...toCoordinator(OTHER, 0), ...toCoordinator(TXID, 1, 0)].map((message) => ({ kind: 'MESSAGE', message } as const)),
    { kind: 'START', spec: of }, { kind: 'START', spec: spec('decided', ['p0']) }, ...recoveries, { kind: 'BEGUN' },
    { kind: 'TIMER', timer: 'prepare-timeout', attempt: 0 }, { kind: 'TIMER', timer: 'resolve', attempt: 0 }, { kind: 'TIMER', timer: 'resend', attempt: 5000 },
    { kind: 'CANCEL', reason: REASON }, { kind: 'RESOLVE', reason: REASON }, { kind: 'RETRY_NOW' },
  ];
}

/** Elections go on for ever: who has stood often enough is not followed further. */
function bounded<Row extends { readonly lastElected: Election } | null, Step>(row: Row, step: () => Step, ignore: () => Step, stands: boolean): Step {
  return stands && row !== null && row.lastElected.n >= MOST_ELECTIONS ? ignore() : step();
}

const withoutAttempts = (state: unknown) => JSON.stringify(state, (key, value: unknown) => (key === 'attempts' ? 0 : value));

function exploreCoordinator(of: TransactionSpec) {
  const step = (state: ThreePhaseCoordinatorState | null, input: ThreePhaseCoordinatorInput) => bounded(
    state?.site ?? null, () => stepThreePhaseCoordinator(state, input, NOW_MS, THREE_PHASE_COORDINATOR_DEFAULTS),
    () => ({ state: state!, ready: { records: [], messages: [], timers: [] } }), state?.phase === 'resolving' && (input.kind === 'TIMER' || input.kind === 'RETRY_NOW'),
  );
  return explore(null, coordinatorInputs(of), step, withoutAttempts);
}

// ---------------------------------------------------------------- participant

function toParticipant(txid: Txid, from: number, to: number): readonly ToThreePhaseParticipant[] {
  const about = { protocol: '3pc', txid, from, to } as const;
  return [{ ...about, kind: 'PREPARE', operation: 'work', payload: { a: [1] }, peers: PEERS }, ...betweenSites(txid, from, to) as ToThreePhaseParticipant[]];
}

const PARTICIPANT_INPUTS: readonly ThreePhaseParticipantInput[] = [
  ...[
    ...toParticipant(TXID, 1, 0), ...toParticipant(TXID, 2, 0).filter(isPlain),
    ...[toParticipant(OLD, 1, 0), toParticipant(TXID, 1, 2), toParticipant(OTHER, 1, 0), toParticipant(TXID, 9, 0)].flat(),
  ]
    .map((message) => ({ kind: 'MESSAGE', message } as const)),
  { kind: 'EXECUTED', vote: null }, { kind: 'EXECUTED', vote: { vote: 'yes', result: { b: 2 } } }, { kind: 'EXECUTED', vote: { vote: 'no' } },
  { kind: 'EXECUTED', vote: { vote: 'no', reason: REASON } }, { kind: 'EXECUTED', vote: { vote: 'read-only' } },
  { kind: 'TIMER', timer: 'resolve', attempt: 0 }, { kind: 'TIMER', timer: 'resolve', attempt: 5000 }, { kind: 'RECOVER' },
];

function exploreParticipant() {
  const config = { ...THREE_PHASE_RESOLVER_DEFAULTS, name: 'p0', rowsKeptMs: DAY_MS };
  const step = (state: ThreePhaseParticipantState, input: ThreePhaseParticipantInput) => bounded(
    state.phase === 'stored' ? state.row : null, () => stepThreePhaseParticipant(state, input, NOW_MS, config),
    () => ({ state, ready: { records: [], messages: [], timers: [] } }), input.kind === 'TIMER',
  );
  return explore<ThreePhaseParticipantState, ThreePhaseParticipantInput>({ phase: 'none' }, PARTICIPANT_INPUTS, step, (state) => JSON.stringify(state));
}

describe('every input in every reachable state is answered, ignored by a named rule or refused with UnexpectedInputError; arguments stay as they were', () => {
  const coordinators = (['decided', 'finished'] as const).map((waitFor) => [waitFor, exploreCoordinator(spec(waitFor))] as const);

  test.each(coordinators)('coordinator whose client waits for %s', (_waitFor, { states, refusals }) => {
    expect(states).toBeGreaterThan(100);
    expect(refusals).toBeGreaterThan(states);
  });

  test('coordinator: every ignore rule has a case', () => {
    const used = new Set(coordinators.flatMap(([, { ignores }]) => [...ignores]));
    expect([...used].sort()).toEqual(Object.keys(THREE_PHASE_COORDINATOR_IGNORES).sort());
  });

  test('participant, and every ignore rule has a case', () => {
    const { states, refusals, ignores } = exploreParticipant();
    expect(states).toBeGreaterThan(100);
    expect(refusals).toBeGreaterThan(states);
    expect([...ignores].sort()).toEqual(Object.keys(THREE_PHASE_PARTICIPANT_IGNORES).sort());
  });
});
