import { describe, expect, it } from '@jest/globals';
import { findCapacity } from './capacity.ts';

const silent = (): void => {};

describe('the capacity that overload and soak are measured by', () => {
  it('is found with as many clients as it takes', async () => {
    const measure = async (clients: number): Promise<number> => Math.min(clients * 3, 1_000);
    expect(await findCapacity(measure, silent)).toEqual({ clients: 512, perSecond: 1_000 });
  });

  it('is the most that was seen, also when more clients bring less', async () => {
    const measure = async (clients: number): Promise<number> => (clients === 64 ? 500 : 400);
    expect(await findCapacity(measure, silent)).toEqual({ clients: 64, perSecond: 500 });
  });
});
