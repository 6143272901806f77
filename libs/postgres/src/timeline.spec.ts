import type { TimelineEvent } from '#libs/runtime';
import { decodeTimeline, encodeTimeline } from './timeline.js';

const BEGIN: TimelineEvent = { atMs: 1_700_000_000_000, type: 'record', name: 'BEGIN', from: 'coordinator', to: 'store' };
const PREPARE: TimelineEvent = { atMs: 1_700_000_000_001, type: 'send', name: 'PREPARE', from: 'coordinator', to: 'orders', branch: 0, detail: 'place' };
const VOTE: TimelineEvent = { atMs: 1_700_000_000_007, type: 'receive', name: 'VOTE', from: 'acceptor/a', to: 'coordinator', detail: 'no OUT_OF_STOCK' };

describe('a stored timeline', () => {
  it.each<readonly [string, readonly TimelineEvent[]]>([
    ['nothing', []],
    ['every type of event', [BEGIN, PREPARE, VOTE]],
    ['a received event first', [VOTE, BEGIN]],
    ['separators in the text', [BEGIN, { ...PREPARE, detail: 'a\tb\vc\nd' }, { ...VOTE, from: 'x\ty' }]],
    ['a zero character, which Postgres refuses', [{ ...PREPARE, detail: '\0' }]],
    ['an empty detail', [{ ...PREPARE, detail: '' }]],
    ['a record that goes elsewhere, and another self', [BEGIN, { ...BEGIN, to: 'disk' }, { ...BEGIN, from: 'someone' }]],
    ['fractions of a millisecond', [{ ...BEGIN, atMs: 1_700_000_000_000.5 }]],
  ])('gives back %s', (_, events) => {
    const stored = encodeTimeline(events);
    expect(stored).not.toMatch(/[\n\0]/);
    expect(decodeTimeline([stored])).toEqual(events.toSorted((a, b) => a.atMs - b.atMs));
  });

  it('says of each event only what the others do not', () => {
    const stored = encodeTimeline([BEGIN, PREPARE, VOTE]);
    expect(stored).toBe('loyw3v28\tcoordinator\vr\t0\tBEGIN\t\t\t\vs\t1\tPREPARE\torders\t0\tplace\vv\t6\tVOTE\tacceptor/a\t\tno OUT_OF_STOCK');
  });

  it('puts the parts together in order of time', () => {
    expect(decodeTimeline([encodeTimeline([VOTE]), encodeTimeline([{ ...PREPARE, detail: '\n' }]), encodeTimeline([BEGIN])])).toEqual([BEGIN, { ...PREPARE, detail: '\n' }, VOTE]);
  });
});
