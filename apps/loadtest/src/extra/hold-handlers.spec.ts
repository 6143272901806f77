import { describe, expect, it } from '@jest/globals';
import { type BranchCall, defineParticipant } from '#libs/participant';
import type { EntityManager } from 'typeorm';
import { extraModule } from './app.js';
import { type Hold, HoldHandlers } from './hold-handlers.js';

class Handlers extends HoldHandlers {}

const call = (key: string, amount: number): BranchCall<Hold> => ({ payload: { orderId: `o-${key}-${amount}`, key, amount } }) as BranchCall<Hold>;

/** Keys a (10 left) and b (none); notes the values of what is changed, and all statements. */
function database(): { manager: EntityManager; changed: unknown[]; statements: string[] } {
  const changed: unknown[] = [];
  const statements: string[] = [];
  const free = new Map([['a', 10], ['b', 0]]);
  const query = async (sql: string, values: readonly unknown[][]): Promise<unknown> => {
    statements.push(sql.trim().split(' ')[0]!);
    if (sql.startsWith('SELECT')) return [...free].map(([key, available]) => ({ key, available: String(available) }));
    const [keys, amounts] = values as [string[], number[]];
    const taken = sql.includes('RETURNING') ? keys.filter((key, i) => (free.get(key) ?? -1) >= amounts[i]!) : keys;
    if (taken.length > 0) changed.push(values);
    return [taken.map((key) => ({ key })), taken.length];
  };
  return { manager: { query } as unknown as EntityManager, changed, statements };
}

describe('hold', () => {
  it('is granted while there is something, in one change for all that was granted', async () => {
    const { manager, changed } = database();
    const votes = await new Handlers().prepare([call('a', 7), call('a', 4), call('b', 1), call('none', 1), call('a', 3)], manager);
    expect(votes.map((said) => (said.vote === 'no' ? said.code : said.vote))).toEqual(['yes', 'OUT_OF_SUPPLY', 'OUT_OF_SUPPLY', 'UNKNOWN_KEY', 'yes']);
    expect(changed).toEqual([[['a'], [10]]]);
  });

  it('is granted in one statement where there is enough for all', async () => {
    const { manager, changed, statements } = database();
    const votes = await new Handlers().prepare([call('a', 7), call('a', 3)], manager);
    expect(votes.map((said) => said.vote)).toEqual(['yes', 'yes']);
    expect([changed, statements]).toEqual([[[['a'], [10]]], ['UPDATE']]);
  });

  it('changes nothing when all are refused', async () => {
    const { manager, changed } = database();
    await new Handlers().prepare([call('none', 1)], manager);
    await new Handlers().take([call('none', 1)], manager);
    expect(changed).toEqual([]);
  });

  it('as a step enters what it took, and its compensation enters the same with the other sign', async () => {
    const { manager, changed } = database();
    const steps = [call('a', 2), call('none', 1)];
    await new Handlers().take(steps, manager);
    await new Handlers().putBack(steps.slice(0, 1), manager);
    expect(changed).toEqual([[['a'], [2], ['o-a-2'], ['a'], [2]], [['a'], [-2], ['o-a-2'], ['a'], [-2]]]);
  });

  it('is a branch, and a step that can be compensated', () => {
    const { branch, step } = defineParticipant('extra-1', [new Handlers()]).get('hold')!;
    expect([branch !== null, step?.compensate !== null && step !== null]).toEqual([true, true]);
  });

  it('takes any padding, and no other field', () => {
    const { checkPayload } = defineParticipant('extra-1', [new Handlers()]).get('hold')!;
    expect(checkPayload({ orderId: 'o', key: 'k', amount: 1, padding: 'x'.repeat(100_000) })).toBeNull();
    expect(checkPayload({ orderId: 'o', key: 'k', amount: 1, colour: 'red' })).not.toBeNull();
  });
});

describe('the module of an extra participant', () => {
  it('is another one for each name', () => {
    const providers = (name: string): readonly object[] => Reflect.getMetadata('providers', extraModule(name)) as readonly object[];
    expect(providers('extra-1')).toHaveLength(1);
    expect(providers('extra-1')[0]).not.toBe(providers('extra-2')[0]);
  });
});
