import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import type { Json } from '#libs/protocol';
import { canonical, fingerprint } from './fingerprint.js';

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
  ])('tells %s apart', (_what, left, right) => {
    expect(fingerprint(left)).not.toBe(fingerprint(right));
  });

  it('is JSON of the same value', () => {
    fc.assert(fc.property(fc.jsonValue(), (value) => {
      expect(JSON.parse(canonical(value as Json))).toEqual(JSON.parse(JSON.stringify(value)));
    }));
  });
});
