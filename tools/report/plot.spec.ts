import { describe, expect, it } from '@jest/globals';
import { percentileAxis, timeAxis } from './axis.ts';
import { type Plot, plotSvg } from './plot.ts';
import { legend, linearTicks, styleOf } from './svg.ts';

const plot = (overrides: Partial<Plot> = {}): Plot => ({ title: 'Speed', unit: 'ms', kind: 'lines', scale: 'linear', lines: [{ name: 'p50', style: 's0', points: [[0, 1], [1000, 2], [2000, 3]] }], ...overrides });
const lineOf = (svg: string): string => /class="line[^>]* d="([^"]*)"/.exec(svg)![1]!;
const heights = (svg: string): readonly number[] => [...lineOf(svg).matchAll(/[ML][\d.]+ ([\d.]+)/g)].map(([, y]) => Number(y));

describe('an axis of percentiles', () => {
  it('gives each nine as much room as the one before', () => {
    const { place } = percentileAxis(99.99);
    expect([0, 90, 99, 99.9, 99.99].map(place).map((at) => Number(at.toFixed(6)))).toEqual([0, 0.25, 0.5, 0.75, 1]);
  });

  it('has no ticks beyond its end', () => {
    expect(percentileAxis(99.95).ticks.map(([, label]) => label)).toEqual(['0 %', '50 %', '90 %', '99 %', '99.9 %']);
  });
});

describe('an axis of time', () => {
  it('has at most fifteen ticks, however long it is', () => {
    for (const endMs of [1_000, 20_000, 600_000, 40_000_000]) expect(timeAxis(endMs).ticks.length).toBeLessThanOrEqual(15);
  });
});

describe('a plot of lines', () => {
  it('leaves a gap where a value is not known', () => {
    const svg = plotSvg(plot({ lines: [{ name: 'p50', style: 's0', points: [[0, 1], [500, null], [1000, Number.NaN], [1500, 2], [2000, 3]] }] }), timeAxis(2_000));
    expect(lineOf(svg).replaceAll(/[\d. ]+/g, '')).toBe('MML');
  });

  it('shows differences below one on a logarithmic scale', () => {
    const [low, middle, high] = heights(plotSvg(plot({ scale: 'log', lines: [{ name: 'p50', style: 's0', points: [[0, 0.1], [1000, 1], [2000, 10]] }] }), timeAxis(2_000)));
    expect(low! - middle!).toBeCloseTo(middle! - high!);
    expect(low! - middle!).toBeGreaterThan(50);
  });

  it('can be drawn without any value', () => {
    for (const scale of ['linear', 'log'] as const) expect(plotSvg(plot({ scale, lines: [] }), timeAxis(1_000))).not.toContain('NaN');
  });

  it('carries its values for the pointer only when asked to', () => {
    expect(plotSvg(plot(), timeAxis(2_000))).not.toContain('data-hover');
    expect(plotSvg(plot({ hover: true }), timeAxis(2_000))).toContain('[1168,&quot;0:02&quot;,3]');
  });

  it('shows what was written as text, whatever it was', () => {
    expect(plotSvg(plot({ title: '<script>' }), timeAxis(1_000))).not.toContain('<script>');
  });
});

describe('piled-up areas', () => {
  it('stand on each other', () => {
    const svg = plotSvg(plot({ kind: 'stack', lines: [{ name: 'ended', style: 'good', points: [[0, 3], [1000, 3]] }, { name: 'refused', style: 'warn', points: [[0, 1], [1000, 1]] }] }), timeAxis(1_000));
    const top = (style: string): number => Number(new RegExp(`class="area ${style}" d="M[\\d.]+ [\\d.]+L[\\d.]+ ([\\d.]+)`).exec(svg)![1]);
    // 150 units high, up to 4.
    expect(top('good') - top('warn')).toBeCloseTo(150 / 4);
  });
});

describe('a legend', () => {
  it('names a series once, however many lines it has', () => {
    expect(legend('Speed', [{ name: 'a', style: 's0' }, { name: 'a', style: 's0' }, { name: 'b', style: 's1' }], 0, 1_000).svg).toHaveLength(2);
  });

  it('takes rows of its own when it does not fit beside the title', () => {
    const long = Array.from({ length: 9 }, (_, i) => ({ name: `a configuration with a long name ${i}`, style: styleOf(i) }));
    expect(legend('Speed', long.slice(0, 2), 0, 1_000).height).toBe(0);
    expect(legend('Speed', long, 0, 1_000).height).toBeGreaterThan(16);
  });

  it('has another style for each of the first sixteen', () => {
    expect(new Set(Array.from({ length: 16 }, (_, i) => styleOf(i))).size).toBe(16);
  });
});

describe('the ticks of a linear axis', () => {
  it('are round, and reach the greatest value', () => {
    expect([0.7, 1.3, 3, 7, 9_400].map(linearTicks).map((ticks) => ticks.at(-1))).toEqual([0.8, 1.5, 3, 8, 10_000]);
    expect(linearTicks(1_300)).toEqual([0, 500, 1_000, 1_500]);
  });
});
