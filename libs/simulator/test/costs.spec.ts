/** The costs of Gray and Lamport's paper, counted in runs of the machines. */
import { describe, expect, it, test } from '@jest/globals';
import fs from 'node:fs';
import { LAYOUTS, layoutOf, type LayoutName } from '../src/costs/layout.js';
import { paxosCommitFormula, twoPhaseFormula } from '../src/costs/formulas.js';
import { measureCost } from '../src/costs/measure.js';
import { COMPARED, type ComparedProtocol } from '../src/costs/protocols.js';
import { renderCosts, renderDifferences } from '../src/costs/render.js';
import { costRow, costTable, SIZES } from '../src/costs/table.js';

const named = (name: string): ComparedProtocol => COMPARED.find((protocol) => protocol.name === name)!;
const measured = (name: string, n: number, layout: LayoutName) => costRow(named(name), layout, n).measured;

describe.each(COMPARED.map((protocol) => [protocol.name, protocol] as const))('%s', (_, protocol) => {
  test.each(LAYOUTS)('costs what its formula says with 2 to 10 participants, %s', (layout) => {
    for (const n of SIZES) {
      const { measured: { messages, delays, writes }, formula } = costRow(protocol, layout, n);
      expect({ n, messages, delays, writes }).toEqual({ n, ...formula });
    }
  });
});

describe('the figures that the paper gives', () => {
  it('N=5, F=1, co-located: 17 messages for Paxos Commit against 12 for two-phase commit, and one delay more', () => {
    expect(measured('2PC', 5, 'co-located')).toMatchObject({ messages: 12, delays: 3, writes: 6 });
    expect(measured('Paxos Commit, F=1', 5, 'co-located')).toMatchObject({ messages: 17, delays: 4, writes: 7 });
  });

  it('not co-located two-phase commit takes 3N-1 messages and 4 delays, Paxos Commit NF+F+3N-1 and 5', () => {
    for (const n of SIZES) {
      expect(measured('2PC', n, 'leader-accepts')).toMatchObject({ messages: 3 * n - 1, delays: 4, writes: n + 1 });
      for (const f of [1, 2]) {
        expect(measured(`Paxos Commit, F=${f}`, n, 'leader-accepts')).toMatchObject({ messages: n * f + f + 3 * n - 1, delays: 5, writes: n + f + 1 });
      }
    }
  });
});

describe('F=0 is two-phase commit', () => {
  test.each(['leader-accepts', 'co-located'] as const)('to the last message and write, %s', (layout) => {
    for (const n of SIZES) expect(measured('Paxos Commit, F=0', n, layout)).toEqual(measured('2PC', n, layout));
  });

  it('by formula too', () => {
    for (const layout of ['leader-accepts', 'co-located'] as const) expect(paxosCommitFormula(7, 0, layout)).toEqual(twoPhaseFormula(7, layout));
  });
});

describe('what the formulas leave out', () => {
  it('is one write for the request, and after the outcome an ACK and a row of each participant, and END', () => {
    expect(measured('2PC', 5, 'apart')).toMatchObject({ writesOfRequest: 1, messagesAfter: 5, writesAfter: 6 });
    expect(measured('Paxos Commit, F=2', 5, 'apart')).toMatchObject({ writesOfRequest: 1, messagesAfter: 5, writesAfter: 6 });
  });

  it('does not delay the answer: co-located it is there before the participants know', () => {
    expect(measured('2PC', 5, 'co-located').delaysToAnswer).toBe(2);
    expect(measured('Paxos Commit, F=1', 5, 'co-located').delaysToAnswer).toBe(3);
  });
});

it('a protocol that nobody helps with the initiating participant asks it too: two messages more, and the request has to wait for it', () => {
  const layout = { ...layoutOf('apart', 5), initiatorPrepared: false };
  expect(measureCost(named('2PC').system(5), layout)).toMatchObject({ messages: 16, delays: 4 });
});

it('a run that differs from its formula is named', () => {
  const row = costRow({ ...named('2PC'), formula: () => ({ messages: 13, delays: 3, writes: 6 }) }, 'co-located', 5);
  expect(row.equal).toBe(false);
  expect(renderDifferences([row])).toEqual(['2PC, co-located, N = 5: the run took 12 messages, 3 delays, 6 writes, the formula says 13 messages, 3 delays, 6 writes']);
  expect(renderDifferences(costTable())).toEqual([]);
});

it('docs/costs.md holds the table (npm run costs -- --write puts it there)', () => {
  const section = /<!-- costs:begin[^>]*-->([^]*)<!-- costs:end -->/.exec(fs.readFileSync('docs/costs.md', 'utf8'))?.[1]?.trim();
  expect(section).toBe(renderCosts(costTable()).trim());
});
