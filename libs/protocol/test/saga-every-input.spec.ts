import { describe, expect, test } from '@jest/globals';
import {
  makeTxid, SAGA_COORDINATOR_IGNORES, SAGA_PARTICIPANT_IGNORES, stepSagaCoordinator, stepSagaParticipant,
  type SagaCoordinatorInput, type SagaCoordinatorState, type SagaHandlerAnswer, type SagaParticipantInput, type SagaParticipantState, type SagaRegister,
  type SagaSpec, type SagaStepKind, type SagaStepReport, type SagaToCoordinator, type SagaToParticipant, type Txid,
} from '../src/index.js';
import { explore, type Exploration } from './exploration.js';

const NOW_MS = Date.UTC(2026, 0, 2);
const DAY_MS = 86_400_000;
const TXID = makeTxid(1, NOW_MS - 1000, new Uint8Array(8));
const OTHER = makeTxid(2, NOW_MS - 1000, new Uint8Array(8));
const OLD = makeTxid(1, NOW_MS - 2 * DAY_MS, new Uint8Array(8));
const REASON = { code: 'BECAUSE' };

interface Limits { readonly maxAttempts: number; readonly deadlineMs: number; readonly timeoutMs: number }

const AMPLE: Limits = { maxAttempts: 99, deadlineMs: NOW_MS + 1000, timeoutMs: 1000 };

function spec(kinds: readonly SagaStepKind[], { maxAttempts, deadlineMs, timeoutMs }: Limits): SagaSpec {
  const retry = { maxAttempts, firstMs: 100, maxMs: 1000 };
  const steps = kinds.map((kind, i) => ({ id: `s${i}`, participant: `p${i}`, operation: 'work', payload: { a: [1] }, kind, timeoutMs, retry }));
  return { txid: TXID, protocol: 'saga', steps, createdAtMs: NOW_MS - 1000, deadlineMs, compensationTimeoutMs: 1000, attentionAfterAttempts: 1, waitFor: 'decided' };
}

function answers(txid: Txid, branch: number, step = `s${branch}`): readonly SagaToCoordinator[] {
  const about = { protocol: 'saga', txid, branch, step } as const;
  return [
    { ...about, kind: 'EXECUTED', result: 7 }, { ...about, kind: 'REFUSED', reason: REASON }, { ...about, kind: 'COMPENSATED' }, { ...about, kind: 'CANCELLED' },
    { ...about, kind: 'FAILED', action: 'execute', reason: REASON }, { ...about, kind: 'FAILED', action: 'compensate', reason: REASON },
  ];
}

function coordinatorInputs(of: SagaSpec): readonly SagaCoordinatorInput[] {
  const done: SagaStepReport = { state: 'done', result: 7, reason: null, attempts: 1 };
  const refused: SagaStepReport = { ...done, state: 'refused' };
  const registers = [[], of.steps.map(() => done), of.steps.map(() => refused)].flatMap((steps): SagaRegister[] => [
    { decision: 'COMMIT', reason: null, steps, atMs: NOW_MS }, { decision: 'ABORT', reason: REASON, steps, atMs: NOW_MS },
  ]);
  const sent = of.steps.map(({ id }, i) => ({ step: id, inputs: Object.fromEntries(of.steps.slice(0, i).map((step) => [step.id, 7])) }));
  const recovered = { kind: 'RECOVER', spec: of, sent: [], skipped: [], attention: null, register: null } as const;
  return [
    { kind: 'START', spec: of }, { kind: 'START', spec: { ...of, steps: [] } },
    recovered, { ...recovered, sent }, { ...recovered, sent: sent.slice(0, 1), attention: { step: 's0', why: REASON, atMs: NOW_MS } },
    { ...recovered, spec: { ...of, deadlineMs: NOW_MS }, sent: sent.slice(0, 2) },
    ...registers.map((register) => ({ ...recovered, sent: sent.slice(0, 2), skipped: ['s1'], register })),
    ...registers.map((register) => ({ kind: 'REGISTERED', ...register } as const)),
    ...of.steps.flatMap((_, branch) => answers(TXID, branch)).map((message) => ({ kind: 'MESSAGE', message } as const)),
    ...[...answers(OTHER, 0), ...answers(TXID, 9), ...answers(TXID, 0, 's1')].map((message) => ({ kind: 'MESSAGE', message } as const)),
    { kind: 'TIMER', timer: 'deadline', attempt: 0 },
    ...[...of.steps.map(({ id }) => id), 'nobody'].map((step) => ({ kind: 'TIMER', timer: `step:${step}`, attempt: 0 } as const)),
    { kind: 'CANCEL', reason: REASON }, { kind: 'RETRY_NOW' }, { kind: 'RESOLVE', reason: REASON },
    ...[...of.steps.map(({ id }) => id), 'nobody'].map((step) => ({ kind: 'SKIP_STEP', step, reason: REASON } as const)),
  ];
}

/** Attempts only count, and reasons only tell. */
const essence = (state: unknown) => JSON.stringify(state, (key, value: unknown) => (key === 'attempts' || key === 'reason' ? 0 : value));

function exploreCoordinator(of: SagaSpec): Exploration {
  const step = (state: SagaCoordinatorState | null, input: SagaCoordinatorInput) => stepSagaCoordinator(state, input, NOW_MS);
  return explore(null, coordinatorInputs(of), step, essence);
}

function requests(txid: Txid, step = 's0'): readonly SagaToParticipant[] {
  const about = { protocol: 'saga', txid, branch: 0, step } as const;
  const kinds: readonly SagaStepKind[] = ['compensatable', 'pivot', 'retriable'];
  return [
    ...kinds.map((stepKind) => ({ ...about, kind: 'EXECUTE', stepKind, operation: 'work', payload: { a: [1] }, inputs: { s9: 9 } } as const)),
    { ...about, kind: 'COMPENSATE', reason: REASON }, { ...about, kind: 'CANCEL_STEP', reason: REASON },
  ];
}

const SAID: readonly SagaHandlerAnswer[] = [
  { said: 'done' }, { said: 'done', result: { b: 2 } }, { said: 'no' }, { said: 'no', reason: REASON }, { said: 'failed' }, { said: 'failed', reason: REASON },
];
const PARTICIPANT_INPUTS: readonly SagaParticipantInput[] = [
  ...[...requests(TXID), ...requests(OTHER), ...requests(OLD), ...requests(TXID, 's1')].map((message) => ({ kind: 'MESSAGE', message } as const)),
  ...SAID.map((answer) => ({ kind: 'EXECUTED', answer } as const)),
];

function exploreParticipant(): Exploration {
  const step = (state: SagaParticipantState, input: SagaParticipantInput) => stepSagaParticipant(state, input, NOW_MS, { rowsKeptMs: DAY_MS });
  return explore<SagaParticipantState, SagaParticipantInput>({ phase: 'none' }, PARTICIPANT_INPUTS, step, (state) => JSON.stringify(state));
}

describe('every input in every reachable state is answered, ignored by a named rule or refused with UnexpectedInputError; arguments stay as they were', () => {
  const explorations: readonly (readonly [string, Exploration])[] = [
    ['the three kinds of steps', exploreCoordinator(spec(['compensatable', 'pivot', 'retriable'], AMPLE))],
    ['no pivot', exploreCoordinator(spec(['compensatable', 'compensatable', 'retriable'], AMPLE))],
    ['one attempt for each step', exploreCoordinator(spec(['compensatable', 'pivot'], { ...AMPLE, maxAttempts: 1 }))],
    ['only retriable steps, without time', exploreCoordinator(spec(['retriable', 'retriable'], { ...AMPLE, timeoutMs: 0 }))],
  ];

  test.each(explorations)('coordinator: %s', (_name, { states, refusals }) => {
    expect(states).toBeGreaterThan(20);
    expect(refusals).toBeGreaterThan(states);
  });

  test('coordinator: every ignore rule has a case', () => {
    const used = new Set(explorations.flatMap(([, { ignores }]) => [...ignores]));
    expect([...used].sort()).toEqual(Object.keys(SAGA_COORDINATOR_IGNORES).sort());
  });

  test('participant, and every ignore rule has a case', () => {
    const { states, refusals, ignores } = exploreParticipant();
    expect(states).toBeGreaterThan(20);
    expect(refusals).toBeGreaterThan(states);
    expect([...ignores]).toEqual(Object.keys(SAGA_PARTICIPANT_IGNORES));
  });
});
