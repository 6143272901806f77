import { describe, expect, it, test } from '@jest/globals';
import { Script } from 'node:vm';
import type { TraceEvent } from '../src/trace.js';
import { CHAR_WIDTH, layOut, wrap } from '../src/page/layout.js';
import { page } from '../src/page/page.js';
import { SCRIPT } from '../src/page/script.js';
import type { Story } from '../src/page/story.js';
import { PROTOCOLS, runSeed } from '../src/world/index.js';
import { SAMPLE } from './sample-trace.js';

const NASTY = 'npm run simulate -- --faults "<&>"';

function pageOf(events: readonly TraceEvent[], violation: string | null = null): string {
  const txids = [...new Set(events.flatMap((event) => ('txid' in event ? [event.txid] : [])))];
  return page({ title: 'A <run>', facts: [['participants', '2']], replay: NASTY, outcomes: txids.map((txid) => ({ txid, outcome: 'aborted' })), violation, events });
}

function eventsOf(protocol: keyof typeof PROTOCOLS, seed: number): readonly TraceEvent[] {
  const events: TraceEvent[] = [];
  runSeed(PROTOCOLS[protocol], seed, {}, (event) => events.push(event));
  return events;
}

function storyIn(html: string): Story {
  return JSON.parse(/<script type="application\/json" id="story">(.*?)<\/script>/s.exec(html)![1]!) as Story;
}

const html = pageOf(SAMPLE, 'AC1: <b>broken</b>');
const story = storyIn(html);

describe('the page of a run', () => {
  it('has every event in its story and in its picture, in their order', () => {
    expect(story.events.map(({ kind }) => kind)).toEqual(SAMPLE.map(({ kind }) => kind));
    for (const i of SAMPLE.keys()) expect(html).toContain(`<rect class="row" data-e="${i}"`);
    expect(html.match(/<path class="message/g)).toHaveLength(SAMPLE.filter(({ kind }) => kind === 'send').length);
  });

  it('takes nothing of a trace or an option for markup', () => {
    expect(html).not.toContain('alert(1)</script>');
    expect(html.match(/<script/g)).toHaveLength(2);
    expect(html.match(/<\/script>/g)).toHaveLength(2);
    expect(html).not.toContain('<b>broken');
    expect(html).not.toContain('<b>"now"');
    expect(html).toContain('npm run simulate -- --faults &quot;&lt;&amp;&gt;&quot;');
    expect(story.events.at(-1)!.text).toContain('</script><script>alert(1)</script>');
  });

  it('asks for nothing from outside', () => {
    expect(html).toContain(`content="default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'"`);
    expect(html).not.toMatch(/\b(src|href)=|https?:|@import|url\((?!#)/);
  });

  it('has a script that parses, and every element that the script asks for without a question mark', () => {
    expect(() => new Script(SCRIPT)).not.toThrow();
    const asked = [...SCRIPT.matchAll(/\$\('([\w-]+)'\)(?!\?)/g)].map(([, id]) => id!);
    expect(asked.length).toBeGreaterThan(10);
    expect(asked.filter((id) => !html.includes(`id="${id}"`))).toEqual([]);
    const told = [...SCRIPT.matchAll(/text\('([\w-]+)'/g)].map(([, id]) => id!);
    expect(told.filter((id) => !html.includes(`id="${id}"`))).toEqual([]);
  });

  it('knows what each role has in memory and in its rows after each event', () => {
    const at = (role: string, process: string, transaction = 't1'): number => story.roles.findIndex((each) => each.role === role && each.process === process && each.transaction === transaction);
    const changes = (i: number): Story['events'][number]['changes'] => story.events[i]!.changes;
    expect(changes(1)).toEqual([[at('coordinator', 'coordinator#1'), 0, 'preparing']]);
    // One database under two processes.
    expect(changes(20)).toEqual([[at('coordinator', 'coordinator#1'), 1, 'DECIDE ABORT'], [at('coordinator', 'coordinator#2'), 1, 'DECIDE ABORT']]);
    expect(changes(13)).toEqual([[at('participant 1', 'p1'), 0, 'down'], [at('acceptor 1', 'p1', 't2'), 0, 'down']]);
    // Refused: nothing became durable.
    expect(changes(25)).toEqual([]);
    expect(changes(33)).toEqual([[at('acceptor 1', 'p1', 't2'), 1, 'accepted'], [at('participant 1', 'p1'), 1, 'aborted']]);
  });

  it('shows the ways of messages: delivered, dropped, cut off, found nobody, doubled, still under way', () => {
    const classes = [...html.matchAll(/<path class="(message[^"]*)" data-e="(\d+)"/g)].map(([, kind, at]) => [Number(at), kind]);
    expect(classes).toEqual([[3, 'message'], [4, 'message lost'], [5, 'message copy'], [10, 'message lost'], [22, 'message lost'], [30, 'message'], [34, 'message open']]);
  });

  it('draws a lane whole, broken by a crash, and from its take-over on', () => {
    const { segments } = layOut(SAMPLE);
    expect(segments.filter(({ process }) => process === 'p1').map(({ state }) => state)).toEqual(['up', 'down', 'up']);
    expect(segments.filter(({ process }) => process === 'coordinator#2').map(({ state }) => state)).toEqual(['absent', 'up']);
    expect(segments.filter(({ process }) => process === 'coordinator#1').map(({ state }) => state)).toEqual(['up', 'down']);
  });

  it('shades a partition until the network is whole, with both sides', () => {
    const { cuts, rows } = layOut(SAMPLE);
    expect(cuts).toEqual([{ first: 14, fromY: rows[14]!.y, toY: rows[26]!.y, sides: [['p0'], ['coordinator']] }]);
  });

  it('names transactions and lets one choose only where there are several', () => {
    expect(html).toContain('<select id="only">');
    expect(pageOf(eventsOf('2pc', 1).filter((event) => event.kind === 'heal'))).not.toContain('id="only"');
  });
});

describe('the geometry', () => {
  const traces: readonly (readonly [string, readonly TraceEvent[]])[] = [
    ['the sample', SAMPLE], ...(['2pc', '3pc', 'paxos-commit', 'saga', 'mixed', 'textbook-3pc'] as const).map((protocol) => [protocol, eventsOf(protocol, 5)] as const),
  ];

  test.each(traces)('of %s: time runs down, and rows do not overlap', (_, events) => {
    const { rows, height } = layOut(events);
    for (const [i, row] of rows.entries()) {
      const above = rows[i - 1];
      expect(row.y - row.height / 2).toBeGreaterThanOrEqual(above === undefined ? 0 : above.y + above.height / 2 - 0.001);
    }
    expect(rows.at(-1)!.y + rows.at(-1)!.height / 2).toBeLessThan(height);
  });

  test.each(traces)('of %s: no two labels overlap, and all lie inside the picture', (_, events) => {
    const { width, height } = layOut(events);
    const labels = labelsOf(pageOf(events));
    expect(labels.length).toBeGreaterThan(10);
    for (const { left, right, y } of labels) {
      expect(left).toBeGreaterThanOrEqual(0);
      expect(right).toBeLessThanOrEqual(width);
      expect(y).toBeLessThan(height);
    }
    const clashes = labels.filter((a, i) => labels.some((b, j) => j < i && Math.abs(a.y - b.y) < 9 && a.left < b.right && b.left < a.right));
    expect(clashes).toEqual([]);
  });

  it('breaks long texts between words, and words that are too long anywhere', () => {
    expect(wrap('one two three', 8)).toEqual(['one two', 'three']);
    expect(wrap('0123456789', 4)).toEqual(['0123', '4567', '89']);
  });
});

interface Label {
  readonly text: string;
  readonly left: number;
  readonly right: number;
  readonly y: number;
}

/** Of the diagram, by the estimate that the layout uses too. */
function labelsOf(text: string): Label[] {
  const diagram = text.slice(text.indexOf('<svg class="diagram"'), text.indexOf('<aside>'));
  return [...diagram.matchAll(/<text x="([\d.-]+)" y="([\d.-]+)"([^>]*)>([^<]*)<\/text>/g)].map(([, x, y, attributes, words]) => {
    const shown = words!.replace(/&\w+;|&#39;/g, 'x');
    const width = shown.length * CHAR_WIDTH;
    const left = attributes!.includes('"end"') ? Number(x) - width : attributes!.includes('"middle"') ? Number(x) - width / 2 : Number(x);
    return { text: shown, left, right: left + width, y: Number(y) };
  });
}
