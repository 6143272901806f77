import { describe, expect, it } from '@jest/globals';
import { type Bars, barsSvg } from './bars.ts';

const bars = (overrides: Partial<Bars> = {}): Bars => ({
  title: 'CPU', unit: 'ms', kind: 'stack', categories: ['local', '2pc'],
  series: [{ name: 'postgres', style: 's0', values: [1, 2] }, { name: 'kafka', style: 's1', values: [null, 1] }], ...overrides,
});
const rects = (svg: string, style: string): readonly { x: number; width: number }[] => [...svg.matchAll(new RegExp(`class="bar ${style}" x="([\\d.]+)" y="[\\d.]+" width="([\\d.]+)"`, 'g'))].map(([, x, width]) => ({ x: Number(x), width: Number(width) }));

describe('stacked bars', () => {
  it('begin where the one before ends, and tell their sum', () => {
    const svg = barsSvg(bars());
    const [postgres, kafka] = [rects(svg, 's0')[1]!, rects(svg, 's1')[0]!];
    expect(kafka.x).toBeCloseTo(postgres.x + postgres.width, 0);
    expect(postgres.width / kafka.width).toBeCloseTo(2, 1);
    expect(svg).toContain('>3.00</text>');
  });

  it('do not name a series that has nothing anywhere', () => {
    expect(barsSvg(bars({ series: [...bars().series, { name: 'acceptor', style: 's2', values: [0, null] }] }))).not.toContain('acceptor');
  });

  it('tell something else than the sum when asked to', () => {
    const svg = barsSvg(bars({ ends: ['half', 'all'] }));
    expect(svg).toContain('>all</text>');
    expect(svg).not.toContain('>3.00</text>');
  });
});

describe('bars beside each other', () => {
  const grouped = bars({ kind: 'group', series: [{ name: 'per second', style: 's0', values: [100, null], ranges: [[80, 130], null] }] });

  it('have whiskers from the least to the most, which the axis has room for', () => {
    const svg = barsSvg(grouped);
    const [, from, to] = /class="whisker" d="M([\d.]+) [\d.]+L([\d.]+)/.exec(svg)!.map(Number);
    const [bar] = rects(svg, 's0');
    expect((from! - bar!.x) / bar!.width).toBeCloseTo(0.8, 1);
    expect((to! - bar!.x) / bar!.width).toBeCloseTo(1.3, 1);
    expect(svg).toContain('per second: 100 ms (80.0 to 130)');
  });

  it('show a dash where nothing is known', () => {
    expect(barsSvg(grouped)).toContain('>-</text>');
  });
});

describe('bars of nothing', () => {
  it('can be drawn', () => {
    for (const kind of ['group', 'stack'] as const) expect(barsSvg(bars({ kind, categories: [], series: [] }))).not.toContain('NaN');
  });
});
