import { isDeepStrictEqual } from 'node:util';
import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import type { Json } from '#libs/protocol';
import { canonical, fingerprint } from './fingerprint.js';

/** The same value with the keys of every object in the opposite order. */
function reversed(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(reversed);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).reverse().map(([key, member]) => [key, reversed(member)]));
}

describe('fingerprint', () => {
  it('does not depend on the order of keys at any depth', () => {
    expect(fingerprint({ a: 1, b: { c: [1, { d: 2, e: 3 }] } })).toBe(fingerprint({ b: { c: [1, { e: 3, d: 2 }] }, a: 1 }));
  });

  it.each<[string, Json, Json]>([
    ['values', { a: 1 }, { a: 2 }],
    ['a number and its text', { a: 1 }, { a: '1' }],
    ['the order of a list', [1, 2], [2, 1]],
    ['null and absence', { a: null }, {}],
    ['nesting', { a: { b: 1 } }, { a: 1, b: 1 }],
    ['keys that only look alike once joined', { 'a":1,"b': 1 }, { a: 1, b: 1 }],
    ['texts that only look alike once joined', ['1', '"1:2'], ['1"1:2']],
  ])('tells %s apart', (_what, left, right) => {
    expect(fingerprint(left)).not.toBe(fingerprint(right));
  });

  it('has the same canonical form for the same value, however its keys are ordered, and for no other', () => {
    const json = fc.jsonValue({ stringUnit: fc.constantFrom('a', 'b', '1', ':', '"', '{', '}', '[', ']', '#', ';', 'n', 't', '\u00e4', '\ud83d\ude00') });
    const sameJson = (left: unknown, right: unknown): boolean => isDeepStrictEqual(JSON.parse(JSON.stringify(left)), JSON.parse(JSON.stringify(right)));
    fc.assert(fc.property(json, json, (left, right) => {
      expect(canonical(reversed(left) as Json)).toBe(canonical(left as Json));
      expect(canonical(left as Json) === canonical(right as Json)).toBe(sameJson(left, right));
    }), { numRuns: 500 });
  });

  it('orders many keys as few', () => {
    const object = Object.fromEntries(Array.from({ length: 40 }, (_, i) => [`key ${i * 7 % 40}`, i]));
    expect(canonical(reversed(object) as Json)).toBe(canonical(object));
  });

  it('takes a negative zero for a zero, as its JSON does', () => {
    expect(canonical([-0])).toBe(canonical([0]));
  });
});
