/**
 * A slice of the campaign of docs/simulator.md, with seeds that are always the same and with seeds that nobody has seen before. A fresh
 * seed that fails is told with the command that replays it; it stays a failure until the cause is mended.
 */
import { describe, expect, test } from '@jest/globals';
import { runDriverSeeds } from '../src/driver/run.js';
import { PROTOCOLS, runSeed, runSeeds, type ProtocolKey } from '../src/world/index.js';

const SCHEDULES = 4000;
const DRIVER_RUNS = 60;
const FRESH_SEED = Math.floor(Math.random() * 0xffff_0000);

const replays = (option: string) => ({ seed, text }: { readonly seed: number; readonly text: string }) => `npm run simulate -- ${option} --replay ${seed}: ${text}`;

describe.each([['the fixed seeds from 1 on', 1], ['fresh seeds', FRESH_SEED]] as const)('%s', (_, firstSeed) => {
  test.each(['2pc', '3pc', 'paxos-commit', 'saga', 'mixed'] satisfies ProtocolKey[])(`${SCHEDULES} schedules of %s violate nothing`, (protocol) => {
    const { runs, violations } = runSeeds(PROTOCOLS[protocol], firstSeed, SCHEDULES);
    expect(violations.map(replays(`--protocol ${protocol}`))).toEqual([]);
    expect(runs).toBe(SCHEDULES);
  });

  test(`${DRIVER_RUNS} schedules of two-phase commit on the production driver violate nothing`, async () => {
    const { violations } = await runDriverSeeds(firstSeed, DRIVER_RUNS);
    expect(violations.map(replays('--protocol 2pc --driver'))).toEqual([]);
  }, 60_000);
});

test('seed 14681 splits textbook three-phase commit by one partition and nothing else, and E3PC survives it', () => {
  const { violation, faults } = runSeed(PROTOCOLS['textbook-3pc'], 14_681);
  expect(violation).toBe('AC1: both outcomes are told');
  expect(Object.entries(faults).filter(([, count]) => count > 0)).toEqual([['partition', 1]]);
  expect(runSeed(PROTOCOLS['3pc'], 14_681).violation).toBeNull();
});
