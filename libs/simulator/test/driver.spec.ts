import { describe, expect, it } from '@jest/globals';
import { CALM } from '../src/driver/faults.js';
import { runDriverSeeds, simulateDriver, traceDriverSeed, type DriverRunOptions } from '../src/driver/run.js';
import type { DriverDefect } from '../src/driver/defects.js';

/** Owners come and go, hear of it late, and are overtaken by their own requests. */
const STRAYS: DriverRunOptions = {
  seed: 11, transactions: 8, coordinators: 3, participants: 2, instances: 1, shards: 2,
  faults: {
    faultyMs: 3_000, rebalances: 8, stray: 0.9, strayMs: 3_000, slow: 0.2, slowMs: 2_000, duplicate: 0.3, refuse: 0,
    loseAnswer: 0.1, tornSend: 0, crashes: 3, poison: 0, handlerFails: 0, crashInCall: 0, outages: 0,
  },
};

/** Everything takes so long that an owner of before answers for what a new owner has in hand. */
const LATE: DriverRunOptions = {
  seed: 517, transactions: 16, coordinators: 3, participants: 2, instances: 1, shards: 2, pieces: 30, calm: true,
  faults: { faultyMs: 5_000, rebalances: 10, stray: 0.95, strayMs: 5_000, slow: 0.45, slowMs: 900, skewMs: 100 },
};

describe('the production drivers in a simulated world', () => {
  it.each(['2pc', '3pc', 'paxos-commit', 'saga'] as const)('do the same again for the same seed, to the microsecond: %s', async (protocol) => {
    const [first, second] = [await traceDriverSeed(21, { protocols: [protocol] }), await traceDriverSeed(21, { protocols: [protocol] })];
    expect(first.trace.length).toBeGreaterThan(100);
    expect(second).toEqual(first);
  });

  it('do something else for another seed', async () => {
    expect((await traceDriverSeed(22)).trace).not.toEqual((await traceDriverSeed(21)).trace);
  });

  it('commit everything that can be had when nothing goes wrong', async () => {
    const result = await simulateDriver({ seed: 1, calm: true, transactions: 0 });
    expect(result).toMatchObject({ violations: [], aborted: 0, faults: {} });
    expect(result.committed).toBeGreaterThan(0);
  });

  it.each(['3pc', 'paxos-commit', 'saga'] as const)('keep every promise of %s through 60 runs in which everything goes wrong', async (protocol) => {
    const result = await runDriverSeeds(1, 60, { protocols: [protocol] });
    expect(result.violations).toEqual([]);
    expect(result.committed).toBeGreaterThan(200);
    expect(result.aborted).toBeGreaterThan(80);
  }, 60_000);

  it('keep every promise of all protocols side by side', async () => {
    expect((await runDriverSeeds(1, 60, { protocols: ['2pc', '3pc', 'paxos-commit', 'saga'] })).violations).toEqual([]);
  }, 60_000);

  it('take a shard back that another owner has had between two looks (seed 713 of 3pc found it)', async () => {
    expect((await simulateDriver({ seed: 713, protocols: ['3pc'] })).violations).toEqual([]);
  });

  it('keep every promise through 150 runs in which everything goes wrong', async () => {
    const result = await runDriverSeeds(1, 150);
    expect(result.violations).toEqual([]);
    expect(result.committed).toBeGreaterThan(500);
    expect(result.aborted).toBeGreaterThan(200);
    const kinds = [
      'crash', 'stop', 'rebalance', 'stray', 'outage', 'out of reach', 'request lost', 'answer lost', 'slow', 'tornSend', 'duplicate', 'delivered again',
      'poison', 'handlerFails', 'clock jump',
    ];
    for (const kind of kinds) expect([kind, result.faults[kind]! > 20]).toEqual([kind, true]);
  }, 30_000);

  it('leave nothing counted as in flight behind an END that was not written (seed 1251 found it)', async () => {
    expect((await simulateDriver({ ...STRAYS, seed: 1_251 })).violations).toEqual([]);
  });

  it('heal from a database that is away for longer than anybody waits', async () => {
    const result = await simulateDriver({ seed: 5, faults: { ...CALM, faultyMs: 8_000, outages: 6, outageMs: 6_000 } });
    expect(result.violations).toEqual([]);
    expect(result.faults['out of reach']).toBeGreaterThan(0);
  });
});

describe('a run finds', () => {
  const cases: readonly (readonly [what: string, defect: DriverDefect, violation: RegExp, options: DriverRunOptions])[] = [
    ['idempotency keys that are not unique', 'keys-not-unique', /^KEY/, { seed: 1 }],
    ['a BEGIN that is called durable before it is', 'begin-told-early', /^BEGIN|AC5/, { seed: 1 }],
    ['a vote that leaves before its row is durable', 'row-told-early', /^AC3/, { seed: 1 }],
    ['an owner whose epoch is over and who writes all the same', 'epoch-ignored', /^AC5/, STRAYS],
    ['a register that takes every decision', 'register-overwritten', /^AC1/, { ...LATE, seed: 383 }],
    ['an abort that is presumed without the register', 'presumed-without-register', /^AC1/, { ...LATE, seed: 383 }],
    ['branches that two owners work on at once', 'branch-not-locked', /^EFFECTS/, { seed: 22 }],
    ['a site of three-phase commit that works on one row in two processes', 'branch-not-locked', /^EFFECTS/, { seed: 58, protocols: ['3pc'] }],
    ['guesses at rows that the database does not verify', 'guess-not-verified', /^AC2/, { seed: 8 }],
    ['such guesses of Paxos Commit', 'guess-not-verified', /^AC2/, { seed: 4, protocols: ['paxos-commit'] }],
    ['such guesses of a saga', 'guess-not-verified', /^EFFECTS/, { seed: 11, protocols: ['saga'] }],
    ['acceptors that forget what they have promised', 'promises-lost', /^UNEXPECTED|^AC/, { seed: 2, protocols: ['paxos-commit'] }],
    ['a row that is told early, of three-phase commit', 'row-told-early', /^UNEXPECTED|^AC/, { seed: 1, protocols: ['3pc'] }],
    ['a row that is told early, of Paxos Commit', 'row-told-early', /^AC3/, { seed: 1, protocols: ['paxos-commit'] }],
    ['a row that is told early, of a saga', 'row-told-early', /^AC3|^EFFECTS|^OUTCOME/, { seed: 1, protocols: ['saga'] }],
    ['an owner of a saga whose epoch is over and who writes all the same', 'epoch-ignored', /^AC5/, { ...LATE, seed: 14, protocols: ['saga'] }],
  ];

  it.each(cases)('%s', async (_what, defect, violation, options) => {
    expect((await simulateDriver(options)).violations).toEqual([]);
    const { violations } = await simulateDriver({ ...options, defect });
    expect(violations.some((text) => violation.test(text))).toBe(true);
  });
});
