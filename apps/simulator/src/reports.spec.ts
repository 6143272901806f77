/** `npm run costs` and `npm run regions`: what they take, what they print, what they refuse. */
import { afterEach, beforeEach, describe, expect, it, test } from '@jest/globals';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import type { CostRow, PlacementReport, RegionOptions } from '#libs/simulator';
import * as costs from './costs.js';
import * as regions from './regions.js';
import { replaceSection, sectionOf } from './section.js';

interface Ran { readonly code: number; readonly out: string; readonly progress: string }

function run(program: typeof costs | typeof regions, ...args: string[]): Ran {
  let [out, progress] = ['', ''];
  const code = program.main(args, { write: (text: string) => { out += text; } }, { write: (text: string) => { progress += text; } });
  return { code, out, progress };
}

let folder: string;
beforeEach(() => { folder = fs.mkdtempSync(path.join(os.tmpdir(), 'concordat-reports-')); });
afterEach(() => fs.rmSync(folder, { recursive: true, force: true }));

describe('npm run costs', () => {
  it('prints the tables, and ends well because no run differs from its formula', () => {
    const { code, out, progress } = run(costs);
    expect({ code, progress }).toEqual({ code: 0, progress: '' });
    expect(out).toMatch(/^\| Paxos Commit, F=1 \|( +\d+ \|){3} +17 \|/m);
  });

  it('--json gives each row with the figures of run and formula', () => {
    const { rows } = JSON.parse(run(costs, '--json').out) as { rows: CostRow[] };
    const row = rows.find(({ protocol, participants, layout }) => protocol === '2PC' && participants === 5 && layout === 'co-located');
    expect(row).toMatchObject({ measured: { messages: 12 }, formula: { messages: 12 }, equal: true });
  });

  test.each([[['--participants', '5']], [['table']]])('refuses %j and says what it takes', (args) => {
    const message = expect.stringContaining('npm run costs takes --json, --write and --help');
    expect(() => run(costs, ...args)).toThrow(expect.objectContaining({ code: 'INVALID_OPTION', message }));
  });
});

describe('npm run regions', () => {
  const small = ['--runs', '3', '--protocol', '2pc'];

  it('prints the map and the tables, and progress apart from them', () => {
    const { code, out, progress } = run(regions, ...small);
    expect(code).toBe(0);
    expect(out).toContain('Participants in frankfurt, ireland, virginia');
    expect(progress).toContain('9 of 9 placements');
  });

  it('--json gives the options and every placement and loss', () => {
    const { options, reports } = JSON.parse(run(regions, ...small, '--seed', '7', '--json').out) as { options: RegionOptions; reports: PlacementReport[] };
    expect(options).toMatchObject({ seed: 7, runs: 3 });
    expect(reports).toHaveLength(9);
    expect(reports[0]!.losses).toHaveLength(2 * 3);
  });

  it('--home moves the coordinator', () => {
    expect(run(regions, ...small, '--home', 'tokyo').out).toContain('All participants in tokyo');
  });

  it('--page writes an HTML file', () => {
    const file = path.join(folder, 'regions.html');
    run(regions, ...small, '--page', file);
    expect(fs.readFileSync(file, 'utf8')).toContain('<!doctype html>');
  });

  test.each([
    [['--runs', '0'], '--runs takes a whole number from 1 to 100000, got "0"'],
    [['--runs', '1e3'], 'got "1e3"'],
    [['--seed', 'x'], '--seed takes a whole number from 0 to 4294967295, got "x"'],
    [['--seed=-1'], '--seed takes a whole number'],
    [['--home', 'atlantis'], 'unknown region "atlantis"; known are frankfurt,'],
    [['--protocol', '2pc,4pc'], '--protocol takes a list of 2pc, 3pc, paxos-commit, saga, got "4pc"'],
    [['--protocol', ''], 'got ""'],
    [['--outage', '5'], '--outage takes a whole number from 10 to 3600'],
    [['--outage', '20', '--limit', '30'], '--limit takes a whole number from 1 to 20'],
    [['--colour'], 'see npm run regions -- --help'],
    [['--runs', '1', '--protocol', '2pc', '--page', '/no/such/folder/page.html'], '--page takes a file to write; there is no folder /no/such/folder'],
  ])('refuses %j', (args, message) => {
    expect(() => run(regions, ...args)).toThrow(expect.objectContaining({ code: 'INVALID_OPTION', message: expect.stringContaining(message) }));
  });
});

describe('a section of a document', () => {
  const document = 'before\n\n<!-- x:begin: written by a program -->\n\nold\n\n<!-- x:end -->\n\nafter\n';

  it('is replaced, and nothing else', () => {
    expect(sectionOf(replaceSection(document, 'x', 'new\n'), 'x')).toBe('new');
    expect(replaceSection(document, 'x', 'old')).toBe(document);
  });

  it('has to be there', () => {
    expect(() => replaceSection(document, 'y', 'new')).toThrow('the document has no section "y"');
  });
});
