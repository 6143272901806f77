import { expect, it } from '@jest/globals';
import { type BranchCall, defineParticipant } from '#libs/participant';
import type { EntityManager } from 'typeorm';
import { type CheckStock, InventoryParticipant } from './inventory.participant.js';

const STOCK: readonly { readonly sku: string; readonly available: string }[] = [{ sku: 'a', available: '10' }, { sku: 'b', available: '0' }];

it('check votes read-only for what is there, refuses what is not, and takes nothing', async () => {
  const asked: unknown[] = [];
  const manager = { query: async (sql: string, values: unknown) => { asked.push([sql.split(' ')[0], values]); return STOCK; } } as unknown as EntityManager;
  const calls = ([['a', 10], ['a', 11], ['b', 1], ['none', 1], ['a', 10]] as const).map(([sku, quantity]) => ({ payload: { sku, quantity } }) as BranchCall<CheckStock>);
  const votes = await new InventoryParticipant().check(calls, manager);
  expect(votes.map((said) => (said.vote === 'no' ? said.code : [said.vote, said.result]))).toEqual([
    ['read-only', { available: 10 }], 'OUT_OF_STOCK', 'OUT_OF_STOCK', 'UNKNOWN_SKU', ['read-only', { available: 10 }],
  ]);
  expect(asked).toEqual([['SELECT', [['a', 'b', 'none']]]]);
});

it('check is a branch, and no step of a saga', () => {
  const { branch, step } = defineParticipant('inventory', [new InventoryParticipant()]).get('check')!;
  expect([branch !== null, step]).toEqual([true, null]);
});
