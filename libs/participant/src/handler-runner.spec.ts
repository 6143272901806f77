import { beforeEach, describe, expect, it } from '@jest/globals';
import type { HandlerVote, Json, Txid } from '#libs/protocol';
import type { HandlerCall, HandlerResult } from '#libs/runtime';
import type { EntityManager } from 'typeorm';
import type { BranchCall } from './call.js';
import { Abort, AbortMany, Commit, CommitMany, LockMany, Participant, Prepare, PrepareMany } from './decorators.js';
import { defineParticipant } from './definition.js';
import { ParticipantHandlerRunner } from './handler-runner.js';
import { DatabaseGone, effect, FakeTransaction, loop, saidOf } from './testing/fake-transaction.js';
import { recordingObserver } from './testing/recording-observer.js';
import { vote, type VoteResult } from './vote.js';

type Payload = { readonly n: number; readonly does?: string };
type Call = BranchCall<Payload>;
const schema = { type: 'object', properties: { n: { type: 'integer' }, does: { type: 'string' } }, required: ['n'] };

function misbehave({ payload }: Call): void {
  if (payload.does === 'throw') throw new Error(`cannot do ${payload.n}`);
  if (payload.does === 'lose the database') throw new DatabaseGone('connection lost');
}

const log: string[] = [];

@Participant('test')
class Handlers {
  @PrepareMany('batch', { schema })
  prepareMany(calls: readonly Call[], manager: EntityManager): readonly VoteResult[] {
    log.push(`prepareMany ${calls.map((c) => c.payload.n).join()}`);
    const votes = calls.flatMap((call): readonly VoteResult[] => {
      misbehave(call);
      if (call.payload.does === 'refuse') return [vote.no('NO_WAY', 'really')];
      if (call.payload.does === 'forget to vote') return [];
      effect(manager, `held ${call.payload.n}`);
      return [call.payload.does === 'only read' ? vote.readOnly({ n: call.payload.n }) : vote.yes({ n: call.payload.n })];
    });
    return votes;
  }

  @CommitMany('batch')
  async commitMany(calls: readonly Call[], manager: EntityManager): Promise<void> {
    log.push(`commitMany ${calls.map((c) => c.payload.n).join()}`);
    for (const call of calls) {
      if (call.payload.does === 'fail to commit') throw new Error('cannot commit');
      misbehave(call);
      effect(manager, `taken ${call.payload.n} ${JSON.stringify(call.result)}`);
    }
  }

  @AbortMany('batch')
  async abortMany(calls: readonly Call[], manager: EntityManager): Promise<void> {
    log.push(`abortMany ${calls.map((c) => c.payload.n).join()}`);
    for (const call of calls) { misbehave(call); effect(manager, `undone ${call.payload.n}`); }
  }

  @LockMany('batch')
  async lock(calls: readonly Call[]): Promise<void> {
    log.push(`lock ${calls.map((c) => c.payload.n).join()}`);
  }

  @Prepare('item', { schema })
  async prepare(call: Call, manager: EntityManager): Promise<VoteResult> {
    log.push(`prepare ${call.payload.n}`);
    effect(manager, `item ${call.payload.n}`);
    misbehave(call);
    return call.payload.does === 'refuse' ? vote.no('NO_WAY') : vote.yes();
  }

  @Commit('item')
  async commit(call: Call, manager: EntityManager): Promise<void> {
    effect(manager, `committed ${call.payload.n}`);
    misbehave(call);
    if (call.payload.does === 'fail to commit') throw new Error('cannot commit');
  }

  @Abort('item')
  async abort(): Promise<void> {}
}

const observed: string[] = [];
let tx: FakeTransaction;
beforeEach(() => {
  log.length = 0;
  observed.length = 0;
  tx = new FakeTransaction();
});

const observer = recordingObserver(observed);
const runner = new ParticipantHandlerRunner(defineParticipant('test', [new Handlers()]), { isTransient: (error) => error instanceof DatabaseGone, observer });

function call(action: HandlerCall['action'], operation: string, n: number, does?: string): HandlerCall {
  return { action, protocol: '2pc', operation, payload: (does === undefined ? { n } : { n, does }) as Json, inputs: {}, result: action === 'commit' ? { kept: n } : null, txid: `tx-${n}` as Txid, branch: 0 };
}
const votesOf = (results: readonly HandlerResult[]): unknown[] => results.map(saidOf);

describe('batch handlers', () => {
  it('get all calls of one operation and action at once, and answers come back in the order of the calls', async () => {
    const results = await runner.run(tx, [call('prepare', 'batch', 1), call('commit', 'batch', 2), call('prepare', 'batch', 3, 'refuse'), call('abort', 'batch', 4), call('prepare', 'batch', 5, 'only read')]);
    expect(votesOf(results)).toEqual(['yes', 'done', 'NO_WAY', 'done', 'read-only']);
    expect((results[0] as { vote: HandlerVote }).vote).toEqual({ vote: 'yes', result: { n: 1 } });
    expect((results[2] as { vote: HandlerVote }).vote).toEqual({ vote: 'no', reason: { code: 'NO_WAY', detail: 'really' } });
    expect(log.filter((line) => !line.startsWith('lock'))).toEqual(['abortMany 4', 'commitMany 2', 'prepareMany 1,3,5']);
    expect(tx.savepoints).toBe(1);
  });

  it('find the rows of all their calls locked beforehand, whatever the action', async () => {
    await runner.run(tx, [call('prepare', 'batch', 1), call('commit', 'batch', 2), call('abort', 'batch', 3)]);
    expect(log[0]).toBe('lock 3,2,1');
  });

  it('get what prepare had returned when they commit', async () => {
    await runner.run(tx, [call('commit', 'batch', 7)]);
    expect(tx.effects).toEqual(['taken 7 {"kept":7}']);
  });

  it.each(['prepare', 'prepare-and-commit'] as const)('that throw in %s take no neighbour down', async (action) => {
    const results = await runner.run(tx, [call(action, 'batch', 1), call(action, 'batch', 2, 'throw'), call(action, 'batch', 3), call('commit', 'batch', 4)]);
    expect(votesOf(results)).toEqual(['yes', 'HANDLER_FAILED', 'yes', 'done']);
    expect((results[1] as { vote: HandlerVote }).vote.reason).toEqual({ code: 'HANDLER_FAILED', detail: 'cannot do 2' });
    expect(tx.effects.filter((e) => e.startsWith('held'))).toEqual(['held 1', 'held 3']);
    expect(tx.effects.filter((e) => e.startsWith('taken 4'))).toHaveLength(1);
  });

  it.each(['commit', 'abort'] as const)('that throw in %s fail that branch alone, to be parked', async (action) => {
    const results = await runner.run(tx, [call(action, 'batch', 1), call(action, 'batch', 2, 'throw'), call(action, 'batch', 3)]);
    expect(votesOf(results)).toEqual(['done', 'failed: cannot do 2', 'done']);
    expect(tx.effects).toHaveLength(2);
    expect(observed).toContain(`failed batch ${action} 1`);
  });

  it('that throw run again call by call, those of other groups once more as a batch', async () => {
    await runner.run(tx, [call('prepare', 'batch', 1), call('prepare', 'batch', 2, 'throw'), call('commit', 'batch', 3), call('commit', 'batch', 4)]);
    expect(log.filter((line) => line.startsWith('commit'))).toEqual(['commitMany 3,4', 'commitMany 3,4']);
    expect(log.filter((line) => line.startsWith('prepare'))).toEqual(['prepareMany 1,2', 'prepareMany 1,2', 'prepareMany 1', 'prepareMany 2']);
    expect(observed.filter((line) => line.startsWith('failed'))).toEqual(['failed batch prepare 2', 'failed batch prepare 2', 'failed batch prepare 1']);
  });

  it('that answer too few votes fail only the call that has none', async () => {
    const results = await runner.run(tx, [call('prepare', 'batch', 1), call('prepare', 'batch', 2, 'forget to vote')]);
    expect(votesOf(results)).toEqual(['yes', 'HANDLER_FAILED']);
    expect(tx.effects).toEqual(['held 1']);
  });
});

describe('per-item handlers', () => {
  it('that throw or refuse are rolled back alone', async () => {
    const results = await runner.run(tx, [call('prepare', 'item', 1), call('prepare', 'item', 2, 'throw'), call('prepare', 'item', 3, 'refuse'), call('prepare', 'item', 4)]);
    expect(votesOf(results)).toEqual(['yes', 'HANDLER_FAILED', 'NO_WAY', 'yes']);
    expect(tx.effects).toEqual(['item 1', 'item 4']);
    expect(log).toEqual(['prepare 1', 'prepare 2', 'prepare 3', 'prepare 4']);
  });

  it('that throw in commit are rolled back and reported as failed', async () => {
    expect(votesOf(await runner.run(tx, [call('commit', 'item', 1, 'throw'), call('commit', 'item', 2)]))).toEqual(['failed: cannot do 1', 'done']);
    expect(tx.effects).toEqual(['committed 2']);
  });
});

describe('prepare-and-commit', () => {
  it.each(['batch', 'item'])('commits what said yes, with its result (%s)', async (operation) => {
    const results = await runner.run(tx, [call('prepare-and-commit', operation, 1), call('prepare-and-commit', operation, 2, 'refuse')]);
    expect(votesOf(results)).toEqual(['yes', 'NO_WAY']);
    expect(tx.effects).toEqual(operation === 'batch' ? ['held 1', 'taken 1 {"n":1}'] : ['item 1', 'committed 1']);
  });

  it.each(['batch', 'item'])('leaves no effect of prepare when commit throws (%s)', async (operation) => {
    const results = await runner.run(tx, [call('prepare-and-commit', operation, 1, 'fail to commit'), call('prepare-and-commit', operation, 2)]);
    expect(votesOf(results)).toEqual(['HANDLER_FAILED', 'yes']);
    expect(tx.effects.filter((e) => e.includes('1'))).toEqual([]);
    expect(tx.effects).toHaveLength(2);
  });

  it('does not commit a branch that has only read', async () => {
    expect(votesOf(await runner.run(tx, [call('prepare-and-commit', 'batch', 1, 'only read')]))).toEqual(['read-only']);
    expect(log).toEqual(['prepareMany 1']);
  });
});

describe('what needs no handler', () => {
  it('refuses an unknown operation and a payload that breaks the schema, and runs the neighbours', async () => {
    const broken: HandlerCall = { ...call('prepare', 'batch', 1), payload: { n: 'many' } };
    const results = await runner.run(tx, [call('prepare', 'nothing', 1), broken, call('prepare', 'batch', 3)]);
    expect(votesOf(results)).toEqual(['UNKNOWN_OPERATION', 'INVALID_PAYLOAD', 'yes']);
    expect((results[1] as { vote: HandlerVote }).vote.reason?.detail).toBe('/n must be integer');
    expect(log).toEqual(['prepareMany 3']);
  });

  it('does not lose a decision about an operation that is gone: the branch is parked', async () => {
    expect(votesOf(await runner.run(tx, [call('commit', 'nothing', 1)]))).toEqual(["failed: there is no operation 'nothing' here; there is 'batch', 'item'"]);
  });
});

describe('faults of the database', () => {
  it.each([['batch', 'prepare'], ['item', 'prepare'], ['batch', 'commit'], ['item', 'commit'], ['batch', 'prepare-and-commit']] as const)('are thrown from %s %s, so that the whole batch runs again', async (operation, action) => {
    await expect(runner.run(tx, [call(action, operation, 1), call(action, operation, 2, 'lose the database')])).rejects.toBeInstanceOf(DatabaseGone);
  });
});

describe('what operators see', () => {
  it('votes by protocol and code, and what ran together, whatever its protocol; the name of an unknown operation becomes no label', async () => {
    await runner.run(tx, [call('prepare', 'batch', 1), { ...call('prepare', 'batch', 2, 'refuse'), protocol: '3pc' }, call('prepare', 'made-up-by-a-client', 3), call('commit', 'item', 4)]);
    expect(observed).toEqual(['ran item commit 2pc', 'ran batch prepare 2pc,3pc', '2pc batch yes', '3pc batch no NO_WAY', '2pc unknown no UNKNOWN_OPERATION']);
  });
});

describe('votes that could not be stored', () => {
  class Odd {
    @Prepare('odd', { schema })
    prepare(call: Call): VoteResult {
      if (call.payload.does === 'throw') throw new Error('a \0 and a \ud800');
      if (call.payload.does === 'return nothing') return undefined as never;
      return vote.yes((call.payload.does === 'loop' ? loop() : { text: '\0' }) as Json);
    }
    @Commit('odd')
    commit(): void {}
    @Abort('odd')
    abort(): void {}
  }
  const odd = new ParticipantHandlerRunner(defineParticipant('test', [new Odd()]), { isTransient: () => false });

  it.each(['store', 'loop', 'return nothing'])('become HANDLER_FAILED (%s)', async (does) => {
    expect(votesOf(await odd.run(tx, [call('prepare', 'odd', 1, does)]))).toEqual(['HANDLER_FAILED']);
  });

  it('or are cleaned when they are only detail', async () => {
    const [result] = await odd.run(tx, [call('prepare', 'odd', 1, 'throw')]);
    expect((result as { vote: HandlerVote }).vote.reason).toEqual({ code: 'HANDLER_FAILED', detail: 'a \ufffd and a \ufffd' });
  });
});
