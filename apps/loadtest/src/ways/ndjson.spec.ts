import { describe, expect, it } from '@jest/globals';
import { jsonLines } from './ndjson.js';

describe('lines of JSON', () => {
  it('are the same wherever the chunks end', () => {
    const bytes = Buffer.from('{"a":"ä€😀"}\n\n{"b":2}\n{"unfinished":');
    for (let size = 1; size <= bytes.length; size++) {
      const seen: unknown[] = [];
      const push = jsonLines((document) => seen.push(document));
      for (let from = 0; from < bytes.length; from += size) push(bytes.subarray(from, from + size));
      expect(seen).toEqual([{ a: 'ä€😀' }, { b: 2 }]);
    }
  });
});
