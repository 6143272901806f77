import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { createdAtOf, isTxid, makeTxid, MAX_SHARDS, shardOf } from './txid.js';

const shard = fc.nat(MAX_SHARDS - 1);
const time = fc.nat(2 ** 48 - 1);
const random = fc.uint8Array({ minLength: 8, maxLength: 8 });

test('a txid is a version 8 UUID that gives back its shard and its time', () => {
  fc.assert(fc.property(shard, time, random, (of, at, bytes) => {
    const txid = makeTxid(of, at, bytes);
    expect(txid).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
    expect([isTxid(txid), shardOf(txid), createdAtOf(txid)]).toEqual([true, of, at]);
  }));
});

test('txids sort by creation time, whatever their shards', () => {
  fc.assert(fc.property(shard, shard, time, time, random, (one, other, early, late, bytes) => {
    fc.pre(early < late);
    expect(makeTxid(one, early, bytes) < makeTxid(other, late, bytes)).toBe(true);
  }));
});

test('a shard out of range and too little randomness are refused', () => {
  const bytes = new Uint8Array(8);
  for (const bad of [-1, MAX_SHARDS, 1.5, Number.NaN]) expect(() => makeTxid(bad, 0, bytes)).toThrow(RangeError);
  expect(() => makeTxid(0, 0, new Uint8Array(7))).toThrow(RangeError);
});

test.each(['', 'x', '018f0000-0000-7000-8000-000000000000', '018F0000-0000-8000-8000-000000000000', 5, null])('%p is not a txid', (text) => {
  expect(isTxid(text)).toBe(false);
});
