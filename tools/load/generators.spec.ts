import { afterAll, describe, expect, it } from '@jest/globals';
import { build, encodeIntoCompressedBase64 } from 'hdr-histogram-js';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import type { Assignment, Progress } from '../../apps/loadtest/src/contract.js';
import { assignmentsFor, runGenerators } from './generators.js';
import { settingsFrom } from './settings.js';

const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'concordat-generators-'));
afterAll(() => fs.rmSync(folder, { recursive: true, force: true }));

const TARGET: Assignment['target'] = { coordinatorUrls: ['http://127.0.0.1:1'], token: 't', localDatabaseUrl: null, localHttpUrl: null, localPool: 16 };
const assignments = (workers: number): readonly Assignment[] => assignmentsFor(settingsFrom({ clients: '10', workers: String(workers) }, (name) => name), TARGET, 'run1');

const EMPTY = encodeIntoCompressedBase64(build({ lowestDiscernibleValue: 1, highestTrackableValue: 120_000_000, numberOfSignificantValueDigits: 3 }));

/** A program in the generator's place, which has its assignment in `a`. */
function generator(body: string): string {
  const file = path.join(folder, `${Math.random().toString(36).slice(2)}.mjs`);
  fs.writeFileSync(file, `
    import { text } from 'node:stream/consumers';
    const a = JSON.parse(await text(process.stdin));
    const say = (line) => console.log(JSON.stringify(line));
    const progress = (second, ended) => say({ kind: 'progress', second, ended, refused: 0, p50Ms: 1, p99Ms: 2, outstanding: a.worker });
    const result = () => say({ kind: 'result', endings: { committed: a.worker + 1, aborted: 0, refused: 0, unknown: 0, shed: 0 }, reasons: {}, seconds: a.seconds, histogram: '${EMPTY}', bySecond: [], latestStartMs: 0, sample: [], told: [] });
    ${body}`);
  return file;
}

const quiet = { onStarted: () => undefined, onProgress: () => undefined };
const never = new AbortController().signal;

describe('generators', () => {
  it('are told the whole, and which part of it is theirs', () => {
    expect(assignments(3).map(({ worker, workers, loop, idPrefix, target }) => ({ worker, workers, loop, idPrefix, pool: target.localPool }))).toEqual(
      [0, 1, 2].map((worker) => ({ worker, workers: 3, loop: { kind: 'closed', clients: 10 }, idPrefix: 'run1', pool: 16 })),
    );
  });

  it('get their assignment, and give their result', async () => {
    const { endings, seconds } = await runGenerators(assignments(1), quiet, never, generator('result();'));
    expect({ endings, seconds }).toMatchObject({ endings: { committed: 1 }, seconds: 10 });
  });

  it('are seen as one, second by second, once all have told of it', async () => {
    const seen: Progress[] = [];
    const names: string[] = [];
    const program = generator('progress(-1, 1); progress(0, 10); if (a.worker === 0) progress(1, 5); result();');
    const { endings } = await runGenerators(assignments(2), { onStarted: (pids) => names.push(...pids.keys()), onProgress: (progress) => seen.push(progress) }, never, program);
    expect(endings.committed).toBe(1 + 2);
    expect(seen.map(({ second, ended, outstanding }) => [second, ended, outstanding])).toEqual([[-1, 2, 1], [0, 20, 1]]);
    expect(names).toEqual(['load-1', 'load-2']);
  });

  it('are told, all alike, when the measured time begins, and seen in the order of their seconds', async () => {
    const program = path.join(folder, 'told.mjs');
    fs.writeFileSync(program, `
      import readline from 'node:readline';
      const lines = readline.createInterface({ input: process.stdin })[Symbol.asyncIterator]();
      const a = JSON.parse((await lines.next()).value);
      const say = (line) => console.log(JSON.stringify(line));
      const progress = (second) => say({ kind: 'progress', second, ended: 1, refused: 0, p50Ms: 1, p99Ms: 2, outstanding: 0 });
      progress(-a.mostWarmupSeconds);
      if (a.worker === 1) progress(1 - a.mostWarmupSeconds);
      const told = JSON.parse((await lines.next()).value).measureAfterSeconds;
      if (a.worker === 0) progress(-1);
      progress(0);
      say({ kind: 'result', endings: { committed: told, aborted: 0, refused: 0, unknown: 0, shed: 0 }, reasons: {}, seconds: a.seconds, histogram: '${EMPTY}', bySecond: [], latestStartMs: 0, sample: [], told: [] });
      process.exit(0);`);
    const seen: number[] = [];
    const all = assignmentsFor(settingsFrom({ rate: '10', workers: '2' }, (name) => name), TARGET, 'run1', 30);
    const { endings } = await runGenerators(all, { onStarted: () => undefined, onProgress: ({ second }) => { seen.push(second); return seen.length === 1 ? 2 : null; } }, never, program);
    expect(seen).toEqual([-30, -1, 0]);
    expect(endings.committed).toBe(2 + 2);
  });

  it('have a result although an outcome stayed unknown, which is their exit code 1', async () => {
    expect((await runGenerators(assignments(1), quiet, never, generator('result(); process.exitCode = 1;'))).endings.committed).toBe(1);
  });

  it('that fail are told of with what they wrote', async () => {
    await expect(runGenerators(assignments(1), quiet, never, generator('console.error("bad assignment: no"); process.exit(2);'))).rejects.toThrow('the generator of worker 0 ended (2) without a result:\nbad assignment: no');
  });

  it('are all ended when one of them fails', async () => {
    const program = generator('if (a.worker === 0) process.exit(2); setInterval(() => undefined, 1_000);');
    await expect(runGenerators(assignments(2), quiet, never, program)).rejects.toThrow('worker 0');
  });

  it('are ended when the run is stopped', async () => {
    const stopping = new AbortController();
    const program = generator('progress(0, 1); setInterval(() => undefined, 1_000);');
    await expect(runGenerators(assignments(1), { onStarted: () => undefined, onProgress: () => stopping.abort() }, stopping.signal, program)).rejects.toThrow('SIGTERM');
  });
});
