import { missingRanges, partitionName } from './tables.js';

describe('missingRanges', () => {
  const ranges = (existing: readonly (readonly [number, number])[], now: number, length: number, ahead: number): readonly (readonly [number, number])[] =>
    missingRanges(existing.map(([fromMs, toMs]) => ({ fromMs, toMs })), now, length, ahead).map(({ fromMs, toMs }) => [fromMs, toMs]);

  it('covers now and what is ahead, cut at multiples of the length', () => {
    expect(ranges([], 105, 10, 20)).toEqual([[100, 110], [110, 120], [120, 130]]);
  });

  it('leaves out what is there', () => {
    expect(ranges([[100, 110], [120, 130]], 105, 10, 20)).toEqual([[110, 120]]);
    expect(ranges([[0, 1_000]], 105, 10, 20)).toEqual([]);
  });

  it('never overlaps partitions of another length', () => {
    expect(ranges([[103, 108], [125, 140]], 105, 10, 20)).toEqual([[100, 103], [108, 110], [110, 120], [120, 125]]);
    expect(ranges([[90, 107]], 105, 10, 0)).toEqual([]);
    expect(ranges([[90, 107]], 105, 10, 3)).toEqual([[107, 110]]);
  });
});

describe('partitionName', () => {
  it('is the time at which the partition begins', () => {
    expect(partitionName('tx_end', { fromMs: Date.UTC(2026, 10, 21), toMs: 0 })).toBe('tx_end_20261121000000000');
  });
});
