import fc from 'fast-check';
import type { Message, SagaMessage, SagaStepKind, Txid } from '#libs/protocol';
import { TransientFault } from './testing/memory-branch-store.js';
import { World } from './testing/world.js';

const STEP = 0;

function about(txid: Txid) {
  return { protocol: 'saga', txid, branch: STEP, step: 'debit' } as const;
}

function execute(txid: Txid, stepKind: SagaStepKind = 'compensatable'): SagaMessage {
  return { ...about(txid), kind: 'EXECUTE', stepKind, operation: 'debit', payload: { amount: 1 }, inputs: { order: { id: 'o-1' } } };
}

function compensate(txid: Txid): SagaMessage {
  return { ...about(txid), kind: 'COMPENSATE', reason: { code: 'CANCELLED' } };
}

function cancelStep(txid: Txid): SagaMessage {
  return { ...about(txid), kind: 'CANCEL_STEP', reason: { code: 'CANCELLED' } };
}

async function started(options = {}) {
  const world = await World.started(options);
  const txid = world.txid();
  const state = () => world.store.row({ txid, branch: STEP })?.state ?? null;
  return { world, txid, state };
}

describe('a step of a saga', () => {
  it('executes with the results of the steps before it, and is undone with its own', async () => {
    const { world, txid, state } = await started();
    await world.deliver([execute(txid)]);
    await world.deliver([compensate(txid)]);
    expect(world.runner.calls).toEqual([
      { protocol: 'saga', action: 'execute', operation: 'debit', payload: { amount: 1 }, inputs: { order: { id: 'o-1' } }, result: null, txid, branch: STEP },
      { protocol: 'saga', action: 'compensate', operation: 'debit', payload: { amount: 1 }, inputs: {}, result: { entry: 'e-1' }, txid, branch: STEP },
    ]);
    expect(world.said(txid)).toEqual(['EXECUTED', 'COMPENSATED']);
    expect([state(), world.store.number('booked')]).toEqual(['compensated', 0]);
  });

  it('tells nothing whose row is not durable', async () => {
    const { world, txid } = await started();
    const told: unknown[] = [];
    world.transport.onSend = () => told.push(world.store.row({ txid, branch: STEP })?.state);
    world.store.failAt('flush');
    await world.deliver([execute(txid)]);
    expect(told).toEqual([]);
    await world.clock.advance(50);
    expect(told).toEqual(['executed']);
  });

  it('answers from its row what it had done before a crash', async () => {
    const { world, txid } = await started();
    world.transport.isReachable = false;
    await world.deliver([execute(txid)]);
    await world.restart();
    world.transport.isReachable = true;
    await world.deliver([execute(txid)]);
    expect(world.said(txid)).toEqual(['EXECUTED']);
    expect(world.runner.calls).toHaveLength(1);
    expect(world.store.number('booked')).toBe(1);
  });

  it('refuses for good when its handler says no, unless it must succeed in the end', async () => {
    const { world, txid, state } = await started();
    world.runner.execute = () => ({ vote: 'no', reason: { code: 'NO_FUNDS' } });
    const retriable = world.txid();
    await world.deliver([execute(txid), execute(retriable, 'retriable')]);
    expect([world.said(txid), world.said(retriable)]).toEqual([['REFUSED NO_FUNDS'], ['FAILED execute NO_FUNDS']]);
    expect([state(), world.store.row({ txid: retriable, branch: STEP })]).toEqual(['refused', null]);
  });

  it.each(['execute', 'compensate'] as const)('answers FAILED when %s fails, and does it when it is asked again', async (action) => {
    const { world, txid } = await started();
    const message = action === 'execute' ? execute(txid) : compensate(txid);
    if (action === 'compensate') await world.deliver([execute(txid)]);
    world.transport.sends.length = 0;
    const handler = world.runner[action];
    world.runner[action] = () => {
      throw new Error('ledger is closed');
    };
    const batch = await world.deliver([message]);
    expect(world.said(txid)).toEqual([`FAILED ${action} HANDLER_FAILED`]);
    expect(batch.isDone).toBe(true);
    expect(world.driver.parked()).toEqual([]);
    world.runner[action] = handler;
    await world.deliver([message]);
    expect(world.said(txid)).toHaveLength(2);
    expect(world.store.number('booked')).toBe(action === 'execute' ? 1 : 0);
  });

  it('has not executed when its handler votes read-only or not at all', async () => {
    const { world, txid, state } = await started();
    world.runner.execute = () => ({ vote: 'read-only' });
    await world.deliver([execute(txid)]);
    expect([world.said(txid), state()]).toEqual([['FAILED execute HANDLER_FAILED'], null]);
  });

  it('refuses a pivot that was cancelled first, and says so when it had executed', async () => {
    const { world, txid } = await started();
    const executed = world.txid();
    await world.deliver([cancelStep(txid), execute(txid, 'pivot'), execute(executed, 'pivot'), cancelStep(executed)]);
    expect(world.said(txid)).toEqual(['CANCELLED', 'REFUSED COMPENSATED_BEFORE_EXECUTE']);
    expect(world.said(executed)).toEqual(['EXECUTED', 'EXECUTED']);
    expect(world.store.number('booked')).toBe(1);
  });

  it('waits for nothing: it is never in doubt and sets no timer', async () => {
    const { world, txid } = await started();
    await world.deliver([execute(txid)]);
    await world.restart();
    expect(world.driver.inDoubt()).toEqual([]);
    await world.clock.advance(50_000);
    expect(world.said(txid)).toEqual([]);
  });
});

/**
 * The three problems of a participant in a saga. Whatever order EXECUTE and COMPENSATE come in, however often, in whatever deliveries,
 * with crashes and rolled-back transactions in between:
 *   - repeated: neither has its effect twice
 *   - empty: a compensation without an execution undoes nothing
 *   - hanging: an execution after its compensation has no effect
 */
describe('the barrier of a saga\'s step', () => {
  type Event = { readonly does: 'execute' | 'compensate' | 'both at once' | 'flush fails' | 'flush is not acknowledged' | 'handler fails' | 'crash' };
  const events: fc.Arbitrary<readonly Event[]> = fc.array(fc.record({
    does: fc.constantFrom('execute', 'execute', 'compensate', 'compensate', 'both at once', 'flush fails', 'flush is not acknowledged', 'handler fails', 'crash'),
  }), { minLength: 1, maxLength: 12 }) as fc.Arbitrary<readonly Event[]>;

  /** Effects that became durable, counted apart from their sum. */
  function countEffects(world: World, failing: { next: boolean }) {
    const fail = () => {
      if (!failing.next) return;
      failing.next = false;
      throw new Error('ledger is closed');
    };
    world.runner.execute = (ledger) => {
      fail();
      ledger.add('executions', 1);
      return { vote: 'yes' };
    };
    world.runner.compensate = (ledger) => {
      fail();
      ledger.add('compensations', 1);
    };
  }

  async function happen(world: World, txid: Txid, { does }: Event, failing: { next: boolean }): Promise<void> {
    switch (does) {
      case 'execute':
        return void await world.deliver([execute(txid)]);
      case 'compensate':
        return void await world.deliver([compensate(txid)]);
      case 'both at once':
        return void await world.deliver([compensate(txid), execute(txid), execute(txid), compensate(txid)]);
      case 'flush fails':
        return world.store.failAt('flush');
      case 'flush is not acknowledged':
        return world.store.failAt('flushed');
      case 'handler fails':
        failing.next = true;
        return;
      case 'crash':
        return world.restart();
    }
  }

  it('bears repeated, empty and hanging compensations in any order', async () => {
    const seen = { repeated: 0, empty: 0, hanging: 0 };
    await fc.assert(fc.asyncProperty(events, async (schedule) => {
      const { world, txid, state } = await started();
      const failing = { next: false };
      countEffects(world, failing);
      let wasUndone = false;
      for (const event of schedule) {
        const before = [world.store.number('executions'), world.store.number('compensations'), state()] as const;
        await happen(world, txid, event, failing);
        await world.clock.advance(50);
        const [executions, compensations] = [world.store.number('executions'), world.store.number('compensations')];
        expect(executions).toBeLessThanOrEqual(1);
        expect(compensations).toBeLessThanOrEqual(executions);
        if (wasUndone) expect([executions, compensations]).toEqual(before.slice(0, 2));
        expect(state()).toBe(compensations === 1 ? 'compensated' : executions === 1 ? 'executed' : before[2] ?? state());
        if (event.does === 'execute' && before[2] === 'executed') seen.repeated++;
        if (event.does === 'compensate' && before[2] === null && state() === 'cancelled') seen.empty++;
        if (event.does === 'execute' && before[2] === 'cancelled') seen.hanging++;
        wasUndone = state() === 'compensated' || state() === 'cancelled';
      }
      // What has answered COMPENSATED has no effect, and what has answered EXECUTED and no more has one.
      const answers = world.said(txid);
      if (answers.includes('COMPENSATED')) expect(world.store.number('executions') - world.store.number('compensations')).toBe(0);
      else if (answers.includes('EXECUTED')) expect(world.store.number('executions')).toBe(1);
    }), { numRuns: 100, seed: 5 });
    expect(Math.min(seen.repeated, seen.empty, seen.hanging)).toBeGreaterThan(5);
  });

  it('bears two processes of one service that both get the messages', async () => {
    await fc.assert(fc.asyncProperty(fc.array(fc.tuple(fc.constantFrom(0, 1), fc.constantFrom(execute, compensate)), { minLength: 2, maxLength: 10 }), async (schedule) => {
      const { world, txid } = await started();
      countEffects(world, { next: false });
      const processes = [world.driver, await world.rival()];
      for (const [which, message] of schedule) world.hand([message(txid) as Message], 0, processes[which]!);
      await world.deliver([]);
      await world.clock.advance(100);
      expect(world.store.number('executions')).toBeLessThanOrEqual(1);
      expect(world.store.number('compensations')).toBe(schedule.some(([, message]) => message === compensate) ? world.store.number('executions') : 0);
    }), { numRuns: 40, seed: 6 });
  });

  it('repeats the whole transaction when the database has a passing fault in a handler', async () => {
    const { world, txid } = await started();
    const handler = world.runner.execute;
    let attempts = 0;
    world.runner.execute = (ledger, call) => {
      if (attempts++ < 2) throw new TransientFault('deadlock');
      return handler(ledger, call);
    };
    await world.deliver([execute(txid)]);
    await world.clock.advance(100);
    expect(world.said(txid)).toEqual(['EXECUTED']);
  });
});
