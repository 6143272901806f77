import { describe, expect, it } from '@jest/globals';
import { count, figure, percent } from './numbers.ts';

describe('a number for people', () => {
  it('has three significant digits and commas between thousands', () => {
    expect([0.042_01, 1.4, 12, 99.96, 123.4, 1_234, 1_234_567, 0].map(figure)).toEqual(['0.0420', '1.40', '12.0', '100', '123', '1,230', '1,230,000', '0']);
  });

  it('is a dash where nothing was measured', () => {
    expect([figure(null), figure(Number.NaN), figure(Number.POSITIVE_INFINITY), percent(null), percent(Number.NaN)]).toEqual(['-', '-', '-', '-', '-']);
  });

  it('is exact where things were counted', () => {
    expect(count(1_234_567)).toBe('1,234,567');
  });

  it('has a decimal as a percentage only when it is small', () => {
    expect([0, 0.004, 0.35, 1].map(percent)).toEqual(['0 %', '0.4 %', '35 %', '100 %']);
  });
});
