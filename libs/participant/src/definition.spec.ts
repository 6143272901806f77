import { describe, expect, it } from '@jest/globals';
import type { EntityManager } from 'typeorm';
import type { BranchCall } from './call.js';
import { Abort, AbortMany, Commit, CommitMany, Compensate, CompensateMany, Execute, ExecuteMany, LockMany, Prepare, PrepareMany } from './decorators.js';
import { announcedOperations, defineParticipant, handlersFor } from './definition.js';
import { ParticipantDefinitionError } from './errors.js';
import { vote } from './vote.js';

const schema = { type: 'object', properties: { n: { type: 'integer', minimum: 1 } }, required: ['n'] };

class Complete {
  @Prepare('count', { schema })
  prepare() { return vote.yes(); }
  @Commit('count')
  commit() {}
  @Abort('count')
  abort() {}
}

class Batching {
  readonly seen: unknown[] = [];
  @PrepareMany('sum', { schema })
  prepareMany(calls: readonly BranchCall<{ n: number }>[]) { return calls.map(() => vote.yes()); }
  @CommitMany('sum')
  commitMany(calls: readonly BranchCall<{ n: number }>[], manager: EntityManager) { this.seen.push(calls, manager); }
  @AbortMany('sum')
  abortMany() {}
  @LockMany('sum')
  lock() {}
}

class Steps {
  @ExecuteMany('book', { schema })
  bookMany(calls: readonly BranchCall<{ n: number }>[]) { return calls.map(() => vote.yes()); }
  @CompensateMany('book')
  unbookMany() {}
  @Execute('ship', { schema })
  ship() { return vote.yes(); }
}

class Both extends Complete {
  @Execute('count', { schema: { ...schema } })
  execute() { return vote.yes(); }
  @Compensate('count')
  compensate() {}
}

function problemOf(...instances: object[]): { problem: string; message: string } {
  try {
    defineParticipant('test', instances);
  } catch (error) {
    if (error instanceof ParticipantDefinitionError) return { problem: error.problem, message: error.message };
    throw error;
  }
  throw new Error('was not refused');
}

describe('a participant definition', () => {
  it('has the operations of all its classes, with their schemas', () => {
    const definition = defineParticipant('test', [new Complete(), new Batching()]);
    const branch = { uses: ['branch'], stepKinds: [], payloadSchema: schema };
    expect(announcedOperations(definition)).toEqual([{ name: 'count', ...branch }, { name: 'sum', ...branch }]);
    expect([definition.get('count')!.branch!.prepare.batch, definition.get('sum')!.branch!.prepare.batch]).toEqual([false, true]);
    expect([definition.get('count')!.lock, definition.get('sum')!.lock?.batch]).toEqual([null, true]);
    expect([definition.get('count')!.step, definition.get('sum')!.step]).toEqual([null, null]);
  });

  it('announces which steps of a saga an operation can be: compensatable only what can be compensated', () => {
    const definition = defineParticipant('test', [new Steps()]);
    expect(announcedOperations(definition)).toEqual([
      { name: 'book', uses: ['step'], stepKinds: ['compensatable', 'pivot', 'retriable'], payloadSchema: schema },
      { name: 'ship', uses: ['step'], stepKinds: ['pivot', 'retriable'], payloadSchema: schema },
    ]);
    expect([definition.get('book')!.step!.execute.batch, definition.get('ship')!.step!.compensate]).toEqual([true, null]);
  });

  it('lets an operation be both a branch and a step, with one schema', () => {
    const definition = defineParticipant('test', [new Both()]);
    expect(announcedOperations(definition)).toEqual([{ name: 'count', uses: ['branch', 'step'], stepKinds: ['compensatable', 'pivot', 'retriable'], payloadSchema: schema }]);
  });

  it('knows for each action the handlers that it needs, and when one is missing', () => {
    const [count, book, ship] = [defineParticipant('test', [new Complete()]).get('count')!, ...defineParticipant('test', [new Steps()]).values()];
    expect((['prepare', 'commit', 'abort', 'prepare-and-commit', 'execute', 'compensate'] as const).map((action) => handlersFor(count, action)?.length)).toEqual([1, 1, 1, 2, undefined, undefined]);
    expect((['execute', 'compensate', 'prepare', 'prepare-and-commit'] as const).map((action) => handlersFor(book!, action)?.length)).toEqual([1, 1, undefined, undefined]);
    expect(handlersFor(ship!, 'compensate')).toBeNull();
  });

  it('calls handlers on their own instance', () => {
    const batching = new Batching();
    const { commit } = defineParticipant('test', [batching]).get('sum')!.branch!;
    const manager = {} as EntityManager;
    if (commit.batch) void commit.call([], manager);
    expect(batching.seen).toEqual([[], manager]);
  });

  it('checks payloads by the schema', () => {
    const { checkPayload } = defineParticipant('test', [new Complete()]).get('count')!;
    expect([checkPayload({ n: 1 }), checkPayload({ n: 0 }), checkPayload({})]).toEqual([null, '/n must be >= 1', "payload must have required property 'n'"]);
  });

  it('takes a format as a note, as the coordinator does', () => {
    class Formatted extends Complete {
      @Prepare('count', { schema: { type: 'string', format: 'email' } })
      override prepare() { return vote.yes(); }
    }
    expect(defineParticipant('test', [new Formatted()]).get('count')!.checkPayload('not an address')).toBeNull();
  });

  it('takes an override in a subclass as the same handler', () => {
    class Stricter extends Complete {
      @Prepare('count', { schema })
      override prepare() { return vote.no('TOO_STRICT') as never; }
    }
    const { prepare } = defineParticipant('test', [new Stricter()]).get('count')!.branch!;
    expect(prepare.call([] as never, {} as EntityManager)).toEqual({ vote: 'no', code: 'TOO_STRICT' });
  });
});

describe('a start is refused', () => {
  it.each([['prepare', '@Prepare'], ['commit', '@Commit'], ['abort', '@Abort']])('without a %s handler', (missing, decorator) => {
    class Partial {}
    const handlers: Record<string, () => PropertyDecorator> = {
      prepare: () => Prepare('op', { schema }) as never, commit: () => Commit('op') as never, abort: () => Abort('op') as never,
    };
    for (const [action, decorate] of Object.entries(handlers)) {
      if (action === missing) continue;
      Object.defineProperty(Partial.prototype, action, { value: () => undefined });
      (decorate() as (target: object, method: string) => void)(Partial.prototype, action);
    }
    const { problem, message } = problemOf(new Partial());
    expect(problem).toBe('MISSING_HANDLER');
    expect(message).toMatch(new RegExp(`operation 'op' of Partial has no ${missing} handler; add a method with ${decorator}`));
  });

  it('when an operation that can be a step has only part of a branch', () => {
    class Half extends Steps {
      @Commit('book')
      commit() {}
    }
    expect(problemOf(new Half())).toEqual({ problem: 'MISSING_HANDLER', message: "operation 'book' of Half has no prepare handler; add a method with @Prepare or @PrepareMany('book')" });
  });

  it('with a compensation of nothing', () => {
    class Undoer {
      @Compensate('op')
      undo() {}
    }
    expect(problemOf(new Undoer())).toEqual({ problem: 'MISSING_HANDLER', message: "operation 'op' of Undoer has no execute handler; add a method with @Execute or @ExecuteMany('op')" });
  });

  it('with a lock alone', () => {
    class Locker {
      @LockMany('op')
      lock() {}
    }
    expect(problemOf(new Locker()).message).toMatch(/^operation 'op' of Locker has no prepare handler/);
  });

  it('when prepare and execute of an operation take different payloads', () => {
    class Torn extends Complete {
      @Execute('count', { schema: { ...schema, required: [] } })
      execute() { return vote.yes(); }
    }
    expect(problemOf(new Torn())).toEqual({ problem: 'DIFFERENT_SCHEMAS', message: "operation 'count' has two schemas that differ: of Torn.prepare and of Torn.execute; it takes one, or two operations" });
  });

  it('with two handlers for the same action, in one class or in two', () => {
    class Double extends Complete {
      @CommitMany('count')
      commitToo() {}
    }
    expect(problemOf(new Double())).toEqual({ problem: 'DUPLICATE_HANDLER', message: "operation 'count' has two commit handlers: Double.commit and Double.commitToo; it takes one" });
    class Other extends Complete {}
    expect(problemOf(new Complete(), new Other()).problem).toBe('DUPLICATE_HANDLER');
  });

  it.each([
    ['an unknown type', { type: 'objekt' }],
    ['a misspelled keyword', { type: 'object', propertys: {} }],
    ['a reference to nowhere', { $ref: '#/$defs/none' }],
    ['no object', 7],
  ])('with a schema that has %s', (_what, invalid) => {
    class Invalid {
      @Prepare('op', { schema: invalid as never })
      prepare() { return vote.yes(); }
      @Commit('op')
      commit() {}
      @Abort('op')
      abort() {}
    }
    const { problem, message } = problemOf(new Invalid());
    expect(problem).toBe('INVALID_SCHEMA');
    expect(message).toContain("Invalid.prepare: the schema of operation 'op' is not valid");
    expect(message).not.toContain('\n');
  });

  it('with a schema of an execute handler that is not valid', () => {
    class Invalid {
      @Execute('op', { schema: { type: 'objekt' } })
      run() { return vote.yes(); }
    }
    expect(problemOf(new Invalid()).message).toContain("Invalid.run: the schema of operation 'op' is not valid");
  });

  it('with a decorated class that has no handlers', () => {
    class Empty {}
    expect(problemOf(new Empty()).problem).toBe('NO_HANDLERS');
  });

  it('with an operation name that cannot be announced', () => {
    class Named {
      @Commit('two words')
      commit() {}
    }
    expect(problemOf(new Named()).problem).toBe('INVALID_OPERATION');
  });
});

it('a reason code that is not stable text is refused where it is written', () => {
  expect(() => vote.no('not enough')).toThrow(TypeError);
  expect(vote.no('NOT_ENOUGH', 'of it')).toEqual({ vote: 'no', code: 'NOT_ENOUGH', detail: 'of it' });
});
