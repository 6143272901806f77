import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { Watermark } from './watermark.js';

describe('the watermark of a partition', () => {
  it('has nothing to save before anything is done', () => {
    const mark = new Watermark();
    mark.track(9);
    expect(mark.unsaved()).toBeNull();
  });

  it('moves only to the first record that is not done, whatever finished behind it', () => {
    const mark = new Watermark();
    const [first, second, third] = [mark.track(9), mark.track(19), mark.track(29)];
    third();
    expect(mark.unsaved()).toBeNull();
    first();
    expect(mark.unsaved()).toBe(10);
    second();
    expect(mark.unsaved()).toBe(30);
  });

  it('is saved once', () => {
    const mark = new Watermark();
    mark.track(4)();
    mark.saved(5);
    expect(mark.unsaved()).toBeNull();
    expect(mark.position).toBe(5);
  });

  it('never passes an unfinished record and reaches the end when all are done, in any order of completion', () => {
    const lengths = fc.array(fc.integer({ min: 1, max: 5 }), { minLength: 1, maxLength: 30 });
    fc.assert(fc.property(lengths.chain((l) => fc.tuple(fc.constant(l), fc.shuffledSubarray([...l.keys()], { minLength: l.length }))), ([sizes, order]) => {
      const mark = new Watermark();
      let next = 0;
      const stretches = sizes.map((size) => ({ first: next, end: (next += size) })).map((s) => ({ ...s, done: mark.track(s.end - 1), finished: false }));
      for (const index of order) {
        stretches[index]!.done();
        stretches[index]!.done();
        stretches[index]!.finished = true;
        const firstUnfinished = stretches.find((s) => !s.finished)?.first ?? next;
        expect(mark.position ?? 0).toBe(firstUnfinished);
      }
      expect(mark.position).toBe(next);
    }));
  });
});
