import { describe, expect, it } from '@jest/globals';
import { timeOrderedKey } from './time-ordered-key.js';

describe('a time-ordered key', () => {
  it('is a UUID of version 7 that begins with its time', () => {
    const key = timeOrderedKey(0x017f22e279b0);
    expect(key).toMatch(/^017f22e2-79b0-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
  });

  it('sorts by time', () => {
    const keys = [1, 99, 1_700_000_000_000, 1_700_000_000_001, 2 ** 48 - 1].map((ms) => timeOrderedKey(ms));
    expect(keys.toSorted()).toEqual(keys);
  });

  it('is never the same twice, within a millisecond neither', () => {
    expect(new Set(Array.from({ length: 1_000 }, () => timeOrderedKey(1))).size).toBe(1_000);
  });
});
