import { beforeEach, describe, expect, it } from '@jest/globals';
import type { HandlerVote, Json, SagaInputs, Txid } from '#libs/protocol';
import type { HandlerCall, HandlerResult } from '#libs/runtime';
import type { EntityManager } from 'typeorm';
import type { BranchCall } from './call.js';
import { AbortMany, CommitMany, Compensate, CompensateMany, Execute, ExecuteMany, LockMany, Participant, PrepareMany } from './decorators.js';
import { defineParticipant } from './definition.js';
import { ParticipantHandlerRunner } from './handler-runner.js';
import { DatabaseGone, effect, FakeTransaction, loop, saidOf } from './testing/fake-transaction.js';
import { recordingObserver } from './testing/recording-observer.js';
import { type StepResult, vote } from './vote.js';

// Steps of sagas. What holds for all handlers alike (batches, savepoints, order) is in handler-runner.spec.ts.

type Payload = { readonly n: number; readonly does?: string };
type Call = BranchCall<Payload>;
const schema = { type: 'object', properties: { n: { type: 'integer' }, does: { type: 'string' } }, required: ['n'] };

function answer({ payload: { n, does }, inputs }: Call): StepResult {
  if (does === 'throw') throw new Error(`cannot do ${n}`);
  if (does === 'lose the database') throw new DatabaseGone('connection lost');
  if (does === 'read only') return vote.readOnly() as never;
  if (does === 'return a loop') return vote.yes(loop() as Json);
  return does === 'refuse' ? vote.no('NO_WAY', 'really') : vote.yes({ n, after: Object.keys(inputs) });
}

const log: string[] = [];
const numbers = (calls: readonly Call[]): string => calls.map((c) => c.payload.n).join();

@Participant('test')
class Steps {
  @ExecuteMany('batch', { schema })
  executeMany(calls: readonly Call[], manager: EntityManager): readonly StepResult[] {
    log.push(`execute ${numbers(calls)}`);
    return calls.map((call) => {
      const said = answer(call);
      if (said.vote === 'yes') effect(manager, `did ${call.payload.n}`);
      return said;
    });
  }

  @CompensateMany('batch')
  async compensateMany(calls: readonly Call[], manager: EntityManager): Promise<void> {
    log.push(`compensate ${numbers(calls)}`);
    for (const call of calls) { answer(call); effect(manager, `undid ${call.payload.n} ${JSON.stringify(call.result)}`); }
  }

  @LockMany('batch')
  lock(calls: readonly Call[]): void {
    log.push(`lock ${numbers(calls)}`);
  }

  /** Careless: its effect comes before its answer, so only the savepoint takes it back. */
  @Execute('item', { schema })
  async execute(call: Call, manager: EntityManager): Promise<StepResult> {
    effect(manager, `did ${call.payload.n}`);
    return answer(call);
  }

  @Compensate('item')
  async compensate(call: Call, manager: EntityManager): Promise<void> {
    effect(manager, `undid ${call.payload.n}`);
    answer(call);
  }

  @Execute('final', { schema })
  forGood(): StepResult { return vote.yes(); }
}

@Participant('test')
class Branches {
  @PrepareMany('branch', { schema })
  prepare(calls: readonly Call[]): readonly StepResult[] { return calls.map(() => vote.yes()); }
  @CommitMany('branch')
  commit(): void {}
  @AbortMany('branch')
  abort(): void {}
}

const observed: string[] = [];
let tx: FakeTransaction;
beforeEach(() => {
  log.length = 0;
  observed.length = 0;
  tx = new FakeTransaction();
});

const observer = recordingObserver(observed);
const runner = new ParticipantHandlerRunner(defineParticipant('test', [new Steps(), new Branches()]), { isTransient: (error) => error instanceof DatabaseGone, observer });

function step(action: HandlerCall['action'], operation: string, n: number, does?: string, inputs: SagaInputs = {}): HandlerCall {
  return { action, protocol: 'saga', operation, payload: (does === undefined ? { n } : { n, does }) as Json, inputs, result: action === 'compensate' ? { was: n } : null, txid: `tx-${n}` as Txid, branch: 0 };
}
const run = async (...calls: readonly HandlerCall[]): Promise<readonly HandlerResult[]> => runner.run(tx, calls);
const said = async (...calls: readonly HandlerCall[]): Promise<readonly string[]> => (await run(...calls)).map(saidOf);

describe('an execute handler', () => {
  it('gets the results of earlier steps and gives its own', async () => {
    const [result] = await run(step('execute', 'batch', 1, undefined, { place: { orderId: 'o-1' }, reserve: null }));
    expect(result).toEqual({ ok: true, vote: { vote: 'yes', result: { n: 1, after: ['place', 'reserve'] } } });
    expect(tx.effects).toEqual(['did 1']);
  });

  it('gets all calls of a batch at once under one savepoint; the refused ones have no effect', async () => {
    const results = await run(step('execute', 'batch', 1), step('execute', 'batch', 2, 'refuse'), step('execute', 'batch', 3));
    expect(results.map(saidOf)).toEqual(['yes', 'NO_WAY', 'yes']);
    expect((results[1] as { vote: HandlerVote }).vote).toEqual({ vote: 'no', reason: { code: 'NO_WAY', detail: 'really' } });
    expect([log, tx.savepoints, tx.effects]).toEqual([['lock 1,2,3', 'execute 1,2,3'], 1, ['did 1', 'did 3']]);
  });

  it('that takes single calls is rolled back alone when it refuses', async () => {
    expect(await said(step('execute', 'item', 1), step('execute', 'item', 2, 'refuse'), step('execute', 'item', 3))).toEqual(['yes', 'NO_WAY', 'yes']);
    expect(tx.effects).toEqual(['did 1', 'did 3']);
  });

  it.each(['batch', 'item'])('that throws has failed, which is no refusal: it may be asked again; its neighbours are through (%s)', async (operation) => {
    expect(await said(step('execute', operation, 1), step('execute', operation, 2, 'throw'), step('execute', operation, 3))).toEqual(['yes', 'failed: cannot do 2', 'yes']);
    expect(tx.effects).toEqual(['did 1', 'did 3']);
    expect(observed).toContain(`failed ${operation} execute 1`);
  });

  it.each([['read only', /no vote that execute may give; it takes vote.yes\(\) or vote.no\(\)/], ['return a loop', /circular/]])('fails when it answers what is no answer (%s)', async (does, message) => {
    const [first, second] = await run(step('execute', 'batch', 1, does), step('execute', 'batch', 2));
    expect(first).toMatchObject({ ok: false, error: { message: expect.stringMatching(message) } });
    expect(saidOf(second!)).toBe('yes');
    expect(tx.effects).toEqual(['did 2']);
  });
});

describe('a compensate handler', () => {
  it('gets what execute had returned, and runs before the executes of its batch, which may need what it gives back', async () => {
    expect(await said(step('execute', 'batch', 1), step('compensate', 'batch', 2))).toEqual(['yes', 'done']);
    expect(log).toEqual(['lock 2,1', 'compensate 2', 'execute 1']);
    expect(tx.effects).toEqual(['undid 2 {"was":2}', 'did 1']);
  });

  it.each(['batch', 'item'])('that throws has failed alone, without its effect (%s)', async (operation) => {
    expect(await said(step('compensate', operation, 1), step('compensate', operation, 2, 'throw'))).toEqual(['done', 'failed: cannot do 2']);
    expect(tx.effects).toHaveLength(1);
  });

  it.each(['batch', 'item'])('cannot refuse: what it returns does not matter (%s)', async (operation) => {
    expect(await said(step('compensate', operation, 1, 'refuse'))).toEqual(['done']);
  });

  it('is not asked whether its payload still fits: it was executed', async () => {
    expect(await said({ ...step('compensate', 'item', 1), payload: { n: 'many' } })).toEqual(['done']);
  });
});

describe('what needs no handler', () => {
  it('refuses steps of unknown operations, of operations that can only be branches, and with payloads that break the schema', async () => {
    const results = await run(step('execute', 'nothing', 1), step('execute', 'branch', 2), { ...step('execute', 'batch', 3), payload: {} }, step('execute', 'batch', 4));
    expect(results.map(saidOf)).toEqual(['UNKNOWN_OPERATION', 'UNKNOWN_OPERATION', 'INVALID_PAYLOAD', 'yes']);
    expect((results[1] as { vote: HandlerVote }).vote.reason?.detail).toBe("operation 'branch' has no execute handler here");
  });

  it('refuses branches of operations that can only be steps', async () => {
    expect(await said(step('prepare', 'final', 1), step('prepare-and-commit', 'final', 2))).toEqual(['UNKNOWN_OPERATION', 'UNKNOWN_OPERATION']);
  });

  it('does not lose a compensation whose handler is gone: it fails, and comes again', async () => {
    expect(await said(step('compensate', 'final', 1))).toEqual(["failed: operation 'final' has no compensate handler here"]);
  });
});

it.each([['batch', 'execute'], ['item', 'execute'], ['batch', 'compensate'], ['item', 'compensate']] as const)('a fault of the database is thrown from %s %s, so that the whole batch runs again', async (operation, action) => {
  await expect(run(step(action, operation, 1), step(action, operation, 2, 'lose the database'))).rejects.toBeInstanceOf(DatabaseGone);
});

it('branches and steps of one batch run together under one savepoint', async () => {
  expect(await said(step('execute', 'batch', 1), step('compensate', 'batch', 2), step('prepare', 'branch', 3), step('commit', 'branch', 4))).toEqual(['yes', 'done', 'yes', 'done']);
  expect(tx.savepoints).toBe(1);
});
