/** Rules of the saga's machines that the scenarios (libs/protocol/scenarios/saga) do not show: contents, budgets, recovery, handlers. */
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import {
  isFencedSagaRecord, makeTxid, stepSagaCoordinator, stepSagaParticipant,
  type SagaCoordinatorInput, type SagaCoordinatorState, type SagaCoordinatorStep, type SagaExecute, type SagaHandlerAnswer, type SagaParticipantStep,
  type SagaRecord, type SagaSent, type SagaSpec, type SagaStepKind, type SagaToCoordinator,
} from '../src/index.js';
import { retryDelayMs } from '../src/saga/backoff.js';

const TXID = makeTxid(0, 0, new Uint8Array(8));
const KINDS = { c: 'compensatable', p: 'pivot', r: 'retriable' } as const;
const RETRY = { maxAttempts: 3, firstMs: 100, maxMs: 1000 };
const BECAUSE = { code: 'BECAUSE', detail: 'of that' };

/** `a:c b:p<a c:r<a+b`: id, kind, and what it comes after (absent: the step before). */
function saga(text: string, limits: Partial<SagaSpec> = {}): SagaSpec {
  const steps = text.split(' ').map((word) => {
    const [, id, kind, after] = /^(\w+):([cpr])(?:<(.*))?$/.exec(word)!;
    return {
      id: id!, kind: KINDS[kind as keyof typeof KINDS] as SagaStepKind, participant: `at-${id}`, operation: `do-${id}`, payload: null, timeoutMs: 5000, retry: RETRY,
      ...(after !== undefined && { after: after === '' ? [] : after.split('+') }),
    };
  });
  return {
    txid: TXID, protocol: 'saga', steps, createdAtMs: 0, deadlineMs: 60_000, compensationTimeoutMs: 30_000, attentionAfterAttempts: 5, waitFor: 'decided',
    ...limits,
  };
}

/** One coordinator whose records become durable at once, over a register of its own. Keeps what it owed. */
class Run {
  state: SagaCoordinatorState | null = null;
  nowMs = 0;
  readonly records: SagaRecord[] = [];
  messages = 0;
  last!: SagaCoordinatorStep;

  constructor(readonly spec: SagaSpec, first: SagaCoordinatorInput = { kind: 'START', spec }) {
    this.give(first);
  }

  give(input: SagaCoordinatorInput): this {
    this.last = stepSagaCoordinator(this.state, input, this.nowMs);
    this.state = this.last.state;
    this.records.push(...this.last.ready.records);
    this.messages += this.last.ready.messages.length + (input.kind === 'MESSAGE' ? 1 : 0);
    const decide = this.last.ready.records.find((record) => record.kind === 'DECIDE');
    return decide ? this.give({ ...decide, kind: 'REGISTERED' }) : this;
  }

  /** `a EXECUTED 7`, `b REFUSED`, `c FAILED`. */
  answer(text: string): this {
    const [step, kind, result] = text.split(' ') as [string, SagaToCoordinator['kind'], string?];
    const about = { protocol: 'saga', txid: TXID, branch: this.spec.steps.findIndex(({ id }) => id === step), step } as const;
    const messages: Readonly<Record<SagaToCoordinator['kind'], SagaToCoordinator>> = {
      EXECUTED: { ...about, kind: 'EXECUTED', result: result ?? null }, REFUSED: { ...about, kind: 'REFUSED', reason: BECAUSE },
      FAILED: { ...about, kind: 'FAILED', action: this.state?.phase === 'compensating' ? 'compensate' : 'execute', reason: BECAUSE },
      COMPENSATED: { ...about, kind: 'COMPENSATED' }, CANCELLED: { ...about, kind: 'CANCELLED' },
    };
    return this.give({ kind: 'MESSAGE', message: messages[kind] });
  }

  timer(timer: 'deadline' | `step:${string}`, afterMs = 0): this {
    this.nowMs += afterMs;
    return this.give({ kind: 'TIMER', timer, attempt: 0 });
  }

  /** What the last step sent: `EXECUTE a`. */
  sent(): readonly string[] {
    return this.last.ready.messages.map(({ message }) => `${message.kind} ${message.step}`);
  }

  kinds(): readonly string[] {
    return this.records.map((record) => record.kind);
  }

  execute(): SagaExecute {
    return this.last.ready.messages.map(({ message }) => message).find((message) => message.kind === 'EXECUTE')!;
  }
}

describe('forward', () => {
  test('a definition with a problem is not started', () => {
    expect(() => new Run(saga('a:p b:c'))).toThrow('START of an invalid saga: steps[1]: compensatable step "b" comes after the pivot "a" (COMPENSATABLE_AFTER_PIVOT)');
  });

  test('a wave is recorded and sent in one step: BEGIN and SENT before the first EXECUTE', () => {
    const { last } = new Run(saga('a:c< b:c< c:p<a+b'));
    expect(last.ready.records.map(({ kind }) => kind)).toEqual(['BEGIN', 'SENT', 'SENT']);
    expect(last.ready.messages.map(({ to, message }) => [to, message.kind, message.step])).toEqual([
      [{ role: 'participant', name: 'at-a' }, 'EXECUTE', 'a'], [{ role: 'participant', name: 'at-b' }, 'EXECUTE', 'b'],
    ]);
  });

  test('a step is sent with the results of all steps that it depends on, and of no other', () => {
    const run = new Run(saga('a:c< b:c<a x:c< d:c<b'));
    run.answer('a EXECUTED 1').answer('x EXECUTED 9').answer('b EXECUTED 2');
    expect(run.execute()).toMatchObject({ step: 'd', stepKind: 'compensatable', operation: 'do-d', inputs: { a: '1', b: '2' } });
    expect(run.records.at(-1)).toEqual({ kind: 'SENT', txid: TXID, step: 'd', inputs: { a: '1', b: '2' } });
  });

  test('the result of a step whose id is special to JavaScript is passed on, and recorded, like any other', () => {
    const run = new Run(saga('__proto__:c b:c'));
    run.answer('__proto__ EXECUTED 1');
    expect(Object.entries(run.execute().inputs)).toEqual([['__proto__', '1']]);
    expect(JSON.stringify(run.records.at(-1))).toContain('{"__proto__":"1"}');
  });

  test('the pivot waits for every compensatable step, though the definition puts them in no order', () => {
    const run = new Run(saga('a:c< p:p< b:c<'));
    expect(run.sent()).toEqual(['EXECUTE a', 'EXECUTE b']);
    expect(run.answer('a EXECUTED').sent()).toEqual([]);
    expect(run.answer('b EXECUTED').sent()).toEqual(['EXECUTE p']);
  });

  test('retriable steps wait for the register, also where nothing else is in their way', () => {
    const run = new Run(saga('a:c r:r<'));
    expect(run.sent()).toEqual(['EXECUTE a']);
    expect(run.answer('a EXECUTED').sent()).toEqual(['EXECUTE r']);
    expect(run.kinds()).toEqual(['BEGIN', 'SENT', 'DECIDE', 'SENT']);
  });

  test('nothing but retriable steps: COMMIT is proposed at once', () => {
    expect(new Run(saga('a:r b:r<')).kinds()).toEqual(['BEGIN', 'DECIDE', 'SENT', 'SENT']);
  });
});

describe('budgets', () => {
  const reasonOf = (run: Run) => run.records.find((record) => record.kind === 'DECIDE')!.reason;

  test('a step that fails until its attempts are used up aborts the saga, with the last failure', () => {
    const run = new Run(saga('a:c')).answer('a FAILED').timer('step:a', 100).timer('step:a', 100);
    expect(run.sent()).toEqual(['EXECUTE a']);
    run.timer('step:a', 100);
    expect(reasonOf(run)).toEqual({ code: 'RETRIES_EXHAUSTED', participant: 'at-a', detail: 'step a: BECAUSE: of that after 3 attempts' });
    expect(run.sent()).toEqual(['COMPENSATE a']);
  });

  test('a step without an answer in its time aborts the saga, whatever attempts it has left', () => {
    const run = new Run(saga('a:c')).timer('step:a', 5000);
    expect(reasonOf(run)).toEqual({ code: 'STEP_TIMEOUT', participant: 'at-a', detail: 'step a: no answer within 5000 ms' });
  });

  test('the last repetition is not set beyond the budget of the step', () => {
    const run = new Run(saga('a:c')).timer('step:a', 4990);
    expect(run.last.ready.timers).toEqual([{ set: 'step:a', atMs: 5000, attempt: 1 }]);
  });

  test('an undecided saga aborts at its deadline', () => {
    expect(reasonOf(new Run(saga('a:c')).timer('deadline', 60_000))).toEqual({ code: 'SAGA_TIMEOUT', detail: 'undecided after 60000 ms' });
  });

  test('a refusal is the reason, under the name of who refused', () => {
    expect(reasonOf(new Run(saga('a:c')).answer('a REFUSED'))).toEqual({ ...BECAUSE, participant: 'at-a' });
  });

  test('the first reason stays when the pivot is cancelled for it', () => {
    expect(reasonOf(new Run(saga('p:p')).timer('deadline', 60_000).answer('p REFUSED'))).toMatchObject({ code: 'SAGA_TIMEOUT' });
  });

  test('compensations that take too long need attention, once, with the last failure, and go on', () => {
    const run = new Run(saga('a:c b:c')).answer('a EXECUTED').answer('b REFUSED').answer('a FAILED').timer('step:a', 29_999);
    expect(run.kinds()).not.toContain('ATTENTION');
    run.timer('step:a', 1);
    expect(run.last.ready.records).toEqual([{
      kind: 'ATTENTION', txid: TXID, step: 'a', why: { code: 'COMPENSATION_OVERDUE', participant: 'at-a', detail: 'BECAUSE: of that' }, atMs: 30_000,
    }]);
    expect(run.sent()).toEqual(['COMPENSATE a']);
    expect(run.timer('step:a', 1000).last.ready.records).toEqual([]);
    expect(run.sent()).toEqual(['COMPENSATE a']);
  });

  test.each([
    ['a retriable step', 'r', (): Run => new Run(saga('r:r'))],
    ['the pivot that is being cancelled', 'p', (): Run => new Run(saga('p:p')).timer('deadline', 60_000)],
  ])('%s that does not answer in its time needs attention', (_name, step, run) => {
    const of = run().timer(`step:${step}`, 5000);
    expect(of.records.at(-1)).toMatchObject({ kind: 'ATTENTION', step, why: { code: 'STEP_TIMEOUT', detail: 'no answer' } });
    expect(of.last.ready.messages).toHaveLength(1);
  });

  test('RETRY_NOW sends what is outstanding, and its backoff begins again', () => {
    const run = new Run(saga('a:c< b:c<')).answer('a EXECUTED').timer('step:b', 100).give({ kind: 'RETRY_NOW' });
    expect(run.sent()).toEqual(['EXECUTE b']);
    expect(run.last.ready.timers).toEqual([{ set: 'step:b', atMs: 100 + retryDelayMs(TXID, 'b', 0, RETRY), attempt: 0 }]);
  });
});

describe('costs are those of docs/saga.md', () => {
  const inOrder = (count: number) => new Run(saga(Array.from({ length: count }, (_, i) => `s${i}:c`).join(' ')));

  test.each([1, 2, 5])('%i steps completed', (n) => {
    const run = inOrder(n);
    for (let i = 0; i < n; i++) run.answer(`s${i} EXECUTED`);
    expect([run.state!.phase, run.messages, run.records.length]).toEqual(['finished', 2 * n, n + 3]);
  });

  test.each([1, 2, 5])('step %i refuses', (k) => {
    const run = inOrder(5);
    for (let i = 0; i < k - 1; i++) run.answer(`s${i} EXECUTED`);
    run.answer(`s${k - 1} REFUSED`);
    for (let i = k - 2; i >= 0; i--) run.answer(`s${i} COMPENSATED`);
    expect([run.state!.phase, run.messages, run.records.length]).toEqual(['finished', 4 * k - 2, k + 3]);
  });
});

describe('repetitions', () => {
  const txids = fc.uint8Array({ minLength: 8, maxLength: 8 }).map((bytes) => makeTxid(0, 0, bytes));

  test('wait between a half and the whole of an exponential delay, up to its maximum', () => {
    fc.assert(fc.property(txids, fc.nat(2000), (txid, attempt) => {
      const full = Math.min(100 * 2 ** attempt, 1000);
      const delay = retryDelayMs(txid, 'a', attempt, RETRY);
      expect(delay).toBeGreaterThanOrEqual(full / 2);
      expect(delay).toBeLessThanOrEqual(full);
    }));
  });

  test('are spread evenly over that time, for sagas that failed together and for the attempts of one', () => {
    const many = Array.from({ length: 1000 }, (_, i) => i);
    const bytes = (i: number) => new Uint8Array([0, 0, 0, 0, 0, 0, i >> 8, i]);
    for (const delayOf of [(i: number) => retryDelayMs(makeTxid(0, 0, bytes(i)), 'a', 9, RETRY), (i: number) => retryDelayMs(TXID, 'a', i + 9, RETRY)]) {
      const quarters = [0, 0, 0, 0];
      for (const i of many) quarters[Math.min(Math.floor((delayOf(i) - 500) / 125), 3)]! += 1;
      expect(Math.min(...quarters)).toBeGreaterThan(200);
    }
  });
});

describe('operators', () => {
  test('a step behind a skipped one does not overtake those before it, and gets no result of it', () => {
    const run = new Run(saga('a:r b:r c:r')).give({ kind: 'SKIP_STEP', step: 'b', reason: BECAUSE });
    expect(run.sent()).toEqual([]);
    run.answer('a EXECUTED 1');
    expect(run.execute()).toMatchObject({ step: 'c', inputs: { a: '1' } });
    run.answer('c EXECUTED');
    expect(run.records.at(-1)).toMatchObject({ kind: 'END', outcome: 'completed', resolved: null, steps: [{ state: 'done' }, { state: 'skipped' }, { state: 'done' }] });
  });

  test('a compensation that was skipped does not let one before it overtake those behind', () => {
    const run = new Run(saga('a:c b:c c:c d:p')).answer('a EXECUTED').answer('b EXECUTED').answer('c EXECUTED').answer('d REFUSED');
    expect(run.give({ kind: 'SKIP_STEP', step: 'b', reason: BECAUSE }).sent()).toEqual([]);
    expect(run.answer('c COMPENSATED').sent()).toEqual(['COMPENSATE a']);
  });

  test.each(['a', 'p'])('what COMMIT rests on cannot be skipped (%s)', (step) => {
    const run = new Run(saga('a:c p:p r:r')).answer('a EXECUTED').answer('p EXECUTED').give({ kind: 'SKIP_STEP', step, reason: BECAUSE });
    expect(run.last.ignored).toBe('nothing-to-skip');
  });

  test('RESOLVE ends a decided saga and says what was outstanding', () => {
    const run = new Run(saga('a:c b:c')).answer('a EXECUTED').answer('b REFUSED').give({ kind: 'RESOLVE', reason: BECAUSE });
    expect(run.records.at(-1)).toMatchObject({ kind: 'END', outcome: 'compensated', resolved: BECAUSE, steps: [{ state: 'compensating' }, { state: 'refused' }] });
  });
});

describe('recovery', () => {
  const nothing = { sent: [], skipped: [], attention: null, register: null };
  const recovered = (spec: SagaSpec, known: Partial<Extract<SagaCoordinatorInput, { kind: 'RECOVER' }>>) => new Run(spec, { ...nothing, ...known, kind: 'RECOVER', spec });

  test('a step is sent again with the inputs of its record; one whose result is in another record is done', () => {
    const run = recovered(saga('a:c b:c c:p'), { sent: [{ step: 'a', inputs: {} }, { step: 'b', inputs: { a: 1 } }] });
    expect(run.sent()).toEqual(['EXECUTE b']);
    expect(run.execute().inputs).toEqual({ a: 1 });
    expect(run.records).toEqual([]);
    run.answer('b EXECUTED 2');
    expect(run.execute()).toMatchObject({ step: 'c', inputs: { a: 1, b: '2' } });
  });

  test('a saga whose time is over aborts, and a pivot that may have executed is asked first', () => {
    const spec = saga('a:c p:p', { deadlineMs: 0 });
    expect(recovered(spec, { sent: [{ step: 'a', inputs: {} }] }).sent()).toEqual(['COMPENSATE a']);
    const asking = recovered(spec, { sent: [{ step: 'a', inputs: {} }, { step: 'p', inputs: { a: null } }] });
    expect(asking.sent()).toEqual(['CANCEL_STEP p']);
    expect(asking.answer('p CANCELLED').sent()).toEqual(['COMPENSATE a']);
  });

  test('COMMIT in the register: steps whose result nobody knows are asked for it, and skipped ones are not', () => {
    const sent: SagaSent[] = [{ step: 'a', inputs: {} }, { step: 'b', inputs: {} }, { step: 'r', inputs: { a: 1 } }];
    const register = { decision: 'COMMIT', reason: null, steps: [], atMs: 5 } as const;
    const run = recovered(saga('a:c< b:c< r:r<a s:r<b'), { sent, skipped: ['r'], register });
    expect(run.sent()).toEqual(['EXECUTE b']);
    expect(run.answer('b EXECUTED 2').execute()).toMatchObject({ step: 's', inputs: { b: '2' } });
  });

  test('what the owner that decided knew need not be asked again', () => {
    const reports = ['done', 'refused'].map((state) => ({ state: state as 'done' | 'refused', result: null, reason: null, attempts: 1 }));
    const sent = [{ step: 'a', inputs: {} }, { step: 'b', inputs: {} }];
    const run = recovered(saga('a:c< b:c<'), { sent, register: { decision: 'ABORT', reason: BECAUSE, steps: reports, atMs: 5 } });
    expect(run.sent()).toEqual(['COMPENSATE a']);
  });

  test('attention is called for once in the life of a saga', () => {
    const attention = { step: 'a', why: BECAUSE, atMs: 3 };
    const run = recovered(saga('a:c'), { sent: [{ step: 'a', inputs: {} }], attention, register: { decision: 'ABORT', reason: BECAUSE, steps: [], atMs: 5 } });
    expect(run.timer('step:a', 90_000).last.ready).toMatchObject({ records: [], messages: [{ message: { kind: 'COMPENSATE' } }] });
  });
});

test('a replaced owner may write nothing but COMMIT', () => {
  const run = new Run(saga('a:c')).answer('a EXECUTED');
  const back = new Run(saga('a:c')).answer('a REFUSED');
  expect([...run.records, ...back.records].filter((record) => !isFencedSagaRecord(record))).toEqual([run.records.find(({ kind }) => kind === 'DECIDE')]);
});

describe('the barrier', () => {
  const execute = (stepKind: SagaStepKind): SagaExecute => (
    { protocol: 'saga', kind: 'EXECUTE', txid: TXID, branch: 0, step: 'a', stepKind, operation: 'reserve', payload: { pieces: 2 }, inputs: { x: 1 } }
  );
  const compensate = { protocol: 'saga', kind: 'COMPENSATE', txid: TXID, branch: 0, step: 'a', reason: BECAUSE } as const;
  const give = (from: SagaParticipantStep | null, message: SagaExecute | typeof compensate, nowMs = 0, config = {}) => (
    stepSagaParticipant(from?.state ?? { phase: 'none' }, { kind: 'MESSAGE', message }, nowMs, config)
  );
  const say = (from: SagaParticipantStep, answer: SagaHandlerAnswer) => stepSagaParticipant(from.state, { kind: 'EXECUTED', answer }, 0, {});
  const kinds = ({ ready }: SagaParticipantStep) => [...ready.records.map(({ row }) => row.state), ...ready.messages.map(({ message }) => message.kind)];

  test('execute is given the results of earlier steps, compensate what execute returned', () => {
    const asked = give(null, execute('compensatable'));
    expect(asked.ready).toEqual({ records: [], messages: [], timers: [], run: { action: 'execute', operation: 'reserve', payload: { pieces: 2 }, inputs: { x: 1 }, result: null } });
    const done = say(asked, { said: 'done', result: 'r-1' });
    expect(kinds(done)).toEqual(['executed', 'EXECUTED']);
    expect(give(done, compensate).ready.run).toEqual({ action: 'compensate', operation: 'reserve', payload: { pieces: 2 }, inputs: {}, result: 'r-1' });
  });

  test.each([
    ['compensatable', 'no', ['refused', 'REFUSED']], ['pivot', 'no', ['refused', 'REFUSED']], ['retriable', 'no', ['FAILED']],
    ['compensatable', 'failed', ['FAILED']], ['pivot', 'failed', ['FAILED']], ['retriable', 'failed', ['FAILED']],
  ] as const)('a %s step whose handler says %s: %p', (kind, said, owed) => {
    const step = say(give(null, execute(kind)), { said, reason: BECAUSE });
    expect(kinds(step)).toEqual(owed);
    expect(give(step, execute(kind)).ready.run === undefined).toBe(owed[0] === 'refused');
  });

  test.each(['no', 'failed'] as const)('a compensation that says %s is asked again: the effect is still there', (said) => {
    const failed = say(give(say(give(null, execute('compensatable')), { said: 'done' }), compensate), { said });
    expect(kinds(failed)).toEqual(['FAILED']);
    const asked = give(failed, compensate);
    expect(asked.ready.run?.action).toBe('compensate');
    expect(kinds(say(asked, { said: 'done' }))).toEqual(['compensated', 'COMPENSATED']);
  });

  test('an EXECUTE after its compensation has no effect, and says why', () => {
    const compensated = say(give(say(give(null, execute('compensatable')), { said: 'done' }), compensate), { said: 'done' });
    expect(give(compensated, execute('compensatable')).ready.messages).toMatchObject([{ message: { kind: 'REFUSED', reason: { code: 'ALREADY_COMPENSATED' } } }]);
    const tombstone = give(null, compensate);
    expect(kinds(tombstone)).toEqual(['cancelled', 'COMPENSATED']);
    expect(give(tombstone, execute('compensatable')).ready.messages).toMatchObject([{ message: { kind: 'REFUSED', reason: { code: 'COMPENSATED_BEFORE_EXECUTE' } } }]);
  });

  test.each([execute('retriable'), compensate])('a row that may have been cleaned up: nothing is run or answered ($kind)', (message) => {
    const config = { rowsKeptMs: 1000 };
    expect(give(null, message, 999, config).ignored).toBeUndefined();
    expect(give(null, message, 1000, config)).toEqual({ state: { phase: 'none' }, ready: { records: [], messages: [], timers: [] }, ignored: 'too-old-to-tell' });
  });
});
