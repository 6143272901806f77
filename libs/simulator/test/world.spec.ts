/** The simulated world: what a run is a function of, that faults happen and are survived, and that the checks see what is wrong. */
import { describe, expect, it, test } from '@jest/globals';
import { makeTxid } from '#libs/protocol';
import { twoPhaseCommitMutants } from '../src/mutants/two-phase-commit.js';
import type { Role, RoleStep, System } from '../src/system.js';
import { paxosCommit } from '../src/systems/paxos-commit.js';
import { twoPhaseCommit, type Transaction } from '../src/systems/two-phase-commit.js';
import type { TraceEvent } from '../src/trace.js';
import { mergeCampaigns, runSeed, runSeeds } from '../src/world/campaign.js';
import { drawRun } from '../src/world/draw.js';
import { NO_FAULTS } from '../src/world/faults.js';
import { noFaultCounts, type FaultCounts } from '../src/world/model.js';
import type { RunOptions } from '../src/world/options.js';
import { parseFaults } from '../src/world/parse-faults.js';
import { PROTOCOLS, protocolUnderTest, twoPhaseUnderTest } from '../src/world/protocols.js';
import { simulate } from '../src/world/world.js';

const TWO_PHASE = PROTOCOLS['2pc'];
const TRANSACTION: Transaction = { txid: makeTxid(0, 0, new Uint8Array(8)), votes: ['yes', 'yes', 'yes'], createdAtMs: 0, timeoutMs: 3000, waitFor: 'finished' };

function traceOf(seed: number): TraceEvent[] {
  const events: TraceEvent[] = [];
  runSeed(TWO_PHASE, seed, {}, (event) => events.push(event));
  return events;
}

function run(options: Partial<RunOptions>): ReturnType<typeof simulate> & { readonly trace: readonly TraceEvent[] } {
  const trace: TraceEvent[] = [];
  const result = simulate({ systems: [twoPhaseCommit(TRANSACTION)], seed: 1, faults: NO_FAULTS, trace: (event) => trace.push(event), ...options });
  return { ...result, trace };
}

function firstViolation(factory: (transaction: Transaction) => System, seeds: number): string {
  return runSeeds(twoPhaseUnderTest(factory), 1, seeds, {}, 1).violations[0]?.text ?? 'nothing found';
}

describe('a seed', () => {
  it('gives the same run every time, event by event', () => {
    for (let seed = 1; seed <= 40; seed++) expect(traceOf(seed)).toEqual(traceOf(seed));
  });

  it('is over when every message has arrived or is lost, however late', () => {
    for (let seed = 1; seed <= 100; seed++) {
      const inFlight = new Set<number>();
      for (const event of traceOf(seed)) {
        if (event.kind === 'send') inFlight.add(event.id);
        else if (event.kind === 'deliver' || event.kind === 'lose') inFlight.delete(event.id);
      }
      expect({ seed, inFlight: inFlight.size }).toEqual({ seed, inFlight: 0 });
    }
  });

  it('gives another run than its neighbours', () => {
    const runs = Array.from({ length: 40 }, (_, seed) => JSON.stringify(traceOf(seed)));
    expect(new Set(runs).size).toBe(40);
  });

  it('gives the same run whether or not somebody watches', () => {
    for (let seed = 1; seed <= 40; seed++) expect(runSeed(TWO_PHASE, seed, {}, () => undefined)).toEqual(runSeed(TWO_PHASE, seed));
  });

  it('keeps what else it says when a fault is overridden', () => {
    const [plain, overridden] = [drawRun(TWO_PHASE, 7), drawRun(TWO_PHASE, 7, { faults: { loss: 0.9 } })];
    expect(overridden.faults).toEqual({ ...plain.faults, loss: 0.9 });
    expect({ ...overridden, systems: [], faults: null }).toEqual({ ...plain, systems: [], faults: null });
    expect(overridden.systems.map(({ txid, expected }) => [txid, expected])).toEqual(plain.systems.map(({ txid, expected }) => [txid, expected]));
  });
});

describe('without faults', () => {
  test.each(['2pc', '3pc', 'paxos-commit', 'saga', 'textbook-3pc', 'mixed'] as const)('%s ends as the votes say (AC4)', (key) => {
    for (let seed = 1; seed <= 60; seed++) {
      const options = { ...drawRun(PROTOCOLS[key], seed, { faults: NO_FAULTS }), stock: {} };
      const { violation, ended, outcomes, faults } = simulate(options);
      const expected = options.systems.map((system) => system.expected);
      expect({ seed, violation, ended, outcomes, faults }).toEqual({ seed, violation: null, ended: true, outcomes: expected, faults: noFaultCounts() });
    }
  });

  it('a branch that finds nothing in stock refuses, and its site keeps its pieces', () => {
    expect(run({ stock: { p1: 0 } })).toMatchObject({ violation: null, outcomes: ['aborted'] });
  });

  it('of two transactions that want the last piece one gets it', () => {
    const other = { ...TRANSACTION, txid: makeTxid(1, 0, new Uint8Array(8)) };
    const { violation, outcomes } = run({ systems: [twoPhaseCommit(TRANSACTION), twoPhaseCommit(other)], startsAtMs: [0, 1], stock: { p2: 1 } });
    expect({ violation, outcomes: [...outcomes].sort() }).toEqual({ violation: null, outcomes: ['aborted', 'committed'] });
  });
});

describe('faults', () => {
  const campaign = runSeeds(TWO_PHASE, 1, 2000);

  it('2,000 schedules of two-phase commit violate nothing', () => {
    expect(campaign).toMatchObject({ runs: 2000, violations: [] });
  });

  it('are of every kind, and both outcomes come of them', () => {
    expect(Object.entries(campaign.faults).filter(([, count]) => count === 0)).toEqual([]);
    expect(campaign.committed).toBeGreaterThan(500);
    expect(campaign.aborted).toBeGreaterThan(500);
  });

  const alone: readonly (readonly [string, keyof FaultCounts])[] = [
    ['loss=0.3', 'loss'], ['duplicate=0.5', 'duplicate'], ['spreadMs=50', 'delay'], ['partitions=20', 'partition'],
    ['partitions=20,oneWay=1', 'oneWayPartition'], ['crashBeforeFlush=0.2', 'crashBeforeFlush'],
    ['crashAfterFlush=0.2', 'crashAfterFlush'], ['crashBetweenSends=0.3', 'crashBetweenSends'], ['crashes=20', 'crash'],
    ['flushFailure=0.3', 'flushFailure'], ['slow=20', 'slow'], ['skewMs=1000', 'clockSkew'], ['clockJumps=20', 'clockJump'], ['takeOvers=20', 'takeOver'],
    ['cancel=1', 'cancel'], ['commands=20', 'command'],
  ];
  test.each(alone)('%s happens, alone, and is survived', (text, kind) => {
    const { violations, faults } = runSeeds(TWO_PHASE, 1, 60, { faults: { ...NO_FAULTS, faultMs: 300, latencyMs: 20, ...parseFaults(text) } });
    expect(violations).toEqual([]);
    expect(Object.entries(faults).filter(([, count]) => count > 0).map(([name]) => name)).toEqual([kind]);
  });

  it('a replaced owner that does not know is refused by the store', () => {
    const refused = Array.from({ length: 60 }, (_, seed) => seed).some((seed) => {
      const events: TraceEvent[] = [];
      runSeed(TWO_PHASE, seed, { coordinators: 3, faults: { faultMs: 1000, takeOvers: 20, wrongOwnerMs: 1000, stray: 0.5 } }, (event) => events.push(event));
      return events.some((event) => event.kind === 'flush' && event.records.some((record) => record.refused));
    });
    expect(refused).toBe(true);
  });

  it('after a flush that failed the process goes on from its rows, and gets the messages again', () => {
    const faults = { ...NO_FAULTS, fromMs: 11, faultMs: 10, flushFailure: 1 };
    const { trace, violation, faults: { flushFailure } } = run({ faults });
    const torn = trace.filter((event) => event.kind === 'flush' && event.records.every(({ refused }) => refused));
    expect(torn).toHaveLength(flushFailure);
    expect(flushFailure).toBeGreaterThan(0);
    expect(trace.some((event) => event.kind === 'send' && event.text === 'PREPARE again')).toBe(true);
    expect(trace.some(({ kind }) => kind === 'crash')).toBe(false);
    expect(violation).toBeNull();
  });

  it('begin when they are said to', () => {
    const faults = { ...NO_FAULTS, fromMs: 15, faultMs: 200, loss: 0.9 };
    for (let seed = 1; seed <= 20; seed++) {
      const lost = run({ seed, faults }).trace.filter(({ kind }) => kind === 'lose');
      expect(lost.length).toBeGreaterThan(0);
      expect(lost[0]!.atMs).toBeGreaterThanOrEqual(15);
    }
  });

  it('after a crash before its flush a process knows what it knew before', () => {
    const { trace, violation } = run({ faults: { ...NO_FAULTS, faultMs: 50, crashBeforeFlush: 1, restartMs: 20 } });
    const crashed = trace.findIndex(({ kind }) => kind === 'crash');
    expect(trace.slice(0, crashed).some(({ kind }) => kind === 'flush' || kind === 'send')).toBe(false);
    expect(violation).toBeNull();
  });

  it('after a crash behind its flush what was written counts, and nothing of it was sent', () => {
    const { trace, violation } = run({ faults: { ...NO_FAULTS, faultMs: 50, crashAfterFlush: 1, restartMs: 1 } });
    const [flushed, crashed] = ['flush', 'crash'].map((kind) => trace.findIndex((event) => event.kind === kind));
    expect(trace[flushed!]).toMatchObject({ records: [{ text: 'BEGIN', refused: false }] });
    expect(trace.slice(flushed, crashed).some(({ kind }) => kind === 'send')).toBe(false);
    expect(trace.find(({ kind, atMs }) => kind === 'step' && atMs > trace[crashed!]!.atMs)).toMatchObject({ input: 'RECOVER' });
    expect(violation).toBeNull();
  });
});

test('slices of a campaign put together are the campaign', () => {
  const slices = [runSeeds(TWO_PHASE, 10, 30), runSeeds(TWO_PHASE, 40, 70)] as const;
  expect(mergeCampaigns(...slices)).toEqual(runSeeds(TWO_PHASE, 10, 100));
});

test('a campaign ends at as many violations as are asked for, each with a seed that shows it again', () => {
  const broken = twoPhaseUnderTest(twoPhaseCommitMutants.find(({ name }) => name === 'prepares-again')!.system);
  const { violations, runs } = runSeeds(broken, 1, 2000, {}, 3);
  expect(violations).toHaveLength(3);
  expect(runs).toBeLessThan(2000);
  for (const { seed, text } of violations) expect(runSeed(broken, seed).violation).toBe(text);
});

describe('a site lost for good', () => {
  // Votes are durable, the decision is not.
  const schedule = [{ atMs: 17, kind: 'lose-site', site: 'coordinator' }] as const;

  it('blocks two-phase commit for as long as it is gone, and two-phase commit ends once it is back', () => {
    const result = run({ schedule, limits: { blockedMs: 30_000 } });
    expect(result).toMatchObject({ violation: null, ended: true, outcomes: ['aborted'] });
    expect(result.blockedMs).toBeGreaterThanOrEqual(30_000);
    expect(result.longestInDoubtMs).toBeGreaterThanOrEqual(30_000);
  });

  it('does not block Paxos Commit under the same schedule', () => {
    const result = run({ systems: [paxosCommit({ ...TRANSACTION, f: 1 })], schedule });
    expect(result).toMatchObject({ violation: null, ended: true, blockedMs: 0 });
    expect(result.longestInDoubtMs).toBeLessThan(10_000);
  });

  it('is a violation of AC5 for a protocol that claims not to block, and does', () => {
    const boaster: System = { ...twoPhaseCommit(TRANSACTION), nonBlocking: true };
    expect(run({ systems: [boaster], schedule }).violation).toMatch(/^AC5: 2pc .* has not ended at the sites that live/);
  });

  it('is drawn only so that the voters keep their majority', () => {
    for (let seed = 1; seed <= 200; seed++) {
      const { mayLose = [], systems } = drawRun(protocolUnderTest('3pc', undefined, { branches: 3 }), seed, { faults: { loseSite: 1 } });
      expect(mayLose.length * 2).toBeLessThan(systems[0]!.roles.length);
    }
  });
});

describe('a script', () => {
  it('that names a site which is not there is refused, with those that are', () => {
    expect(() => run({ schedule: [{ atMs: 1, kind: 'lose-site', site: 'p9' }] })).toThrow('there is no site p9; there are: coordinator, p0, p1, p2');
  });

  it('cuts sites off from each other until they are joined', () => {
    const cut = { atMs: 8, kind: 'cut', from: ['coordinator'], to: ['p0', 'p1'], oneWay: true } as const;
    const { trace, violation } = run({ schedule: [cut, { atMs: 500, kind: 'join' }] });
    expect(trace.filter((event) => event.kind === 'lose').map((event) => event.why)).toEqual(['partition', 'partition']);
    expect(violation).toBeNull();
  });
});

describe('the checks find', () => {
  test.each(twoPhaseCommitMutants.filter(({ name }) => [
    'commits-at-timeout', 'counts-no-as-yes', 'aborts-although-all-agree', 'never-repeats-a-decision', 'votes-before-the-row-is-durable', 'never-inquires',
    'prepares-again', 'aborts-alone-in-doubt', 'register-can-be-overwritten',
  ].includes(name)).map(({ name, system }) => [name, system] as const))('the broken rule of %s', (_, system) => {
    expect(firstViolation((transaction) => system(transaction), 2000)).toMatch(/^(AC[1-5]|EFFECTS|UNEXPECTED): /);
  });

  it('a piece that an abort does not give back (conservation)', () => {
    const leaky = (transaction: Transaction): System => withSteps(twoPhaseCommit(transaction), (step) => ((step.stock ?? 0) > 0 ? { ...step, stock: 0 } : step));
    expect(firstViolation(leaky, 200)).toMatch(/^CONSERVATION: p\d began with \d+ pieces and has \d+$/);
  });

  it('an input that no rule covers', () => {
    const astray = (step: RoleStep<unknown, unknown>) => ({ ...step, messages: step.messages.map((sent) => ({ ...sent, to: 'participant 0' })) });
    expect(firstViolation((transaction) => withSteps(twoPhaseCommit(transaction), astray), 20)).toMatch(/^UNEXPECTED: UnexpectedInputError: /);
  });

  it('a machine that goes on for ever after all has ended', () => {
    const restless = (transaction: Transaction): System => withRole(twoPhaseCommit(transaction), 'coordinator', (of) => ({
      step(state, input, around) {
        const beat = { set: 'beat', atMs: around.nowMs + 5000, attempt: 0 };
        if ((input as { readonly timer?: string }).timer === 'beat') return { state, records: [], messages: [], timers: [beat] };
        const step = of.step(state, input, around);
        return of.label(step.state) === 'finished' ? { ...step, timers: [...step.timers, beat] } : step;
      },
    }));
    expect(firstViolation(restless, 20)).toBe('AC5: all has ended, and messages or timers go on');
  });

  it('a client that waits for its answer for ever, although nothing fails and the tables know it (AC4)', () => {
    const silent = (transaction: Transaction): System => withRole(twoPhaseCommit(transaction), 'coordinator', () => ({ answer: () => null }));
    expect(firstViolation(silent, 20)).toBe('AC4: nothing went wrong, and 2pc left the client that waited without an answer');
  });

  it('tables that know nothing, although nothing fails and clients were told (AC4)', () => {
    const blank = (transaction: Transaction): System => withRole(twoPhaseCommit(transaction), 'coordinator', () => ({ read: () => null }));
    expect(firstViolation(blank, 20)).toMatch(/^AC4: nothing went wrong, and 2pc ended with no outcome instead of /);
  });

  it('an owner that begins nothing for those who ask it after the last fault', () => {
    const idle = (transaction: Transaction): System => withRole(twoPhaseCommit(transaction), 'coordinator', (of) => ({
      step(state, input, around) {
        const ignores = around.tenure > 1 && (input as { readonly kind: string }).kind === 'START';
        return ignores ? { state, records: [], messages: [], timers: [] } : of.step(state, input, around);
      },
    }));
    expect(firstViolation(idle, 200)).toBe('AC5: 2pc was asked for a transaction after the last fault, and there is no outcome');
  });

  it('tables that say one thing to one reader and another to the next (AC2 over time)', () => {
    expect(firstViolation((transaction) => forgetful(twoPhaseCommit(transaction)), 2000)).toMatch(/^AC1: both outcomes are told/);
  });
});

function withSteps(system: System, change: (step: RoleStep<unknown, unknown>) => RoleStep<unknown, unknown>): System {
  return { ...system, roles: system.roles.map((role) => ({ ...role, step: (...args) => change(role.step(...args)) })) };
}

function withRole(system: System, name: string, change: (of: Role) => Partial<Role>): System {
  return { ...system, roles: system.roles.map((of) => (of.name === name ? { ...of, ...change(of) } : of)) };
}

/** No row contradicts another at any moment: only what was read before does. */
function forgetful(system: System): System {
  const [coordinator, ...others] = system.roles;
  let writes = 0;
  const read = (): 'committed' | 'aborted' | null => (writes === 0 ? null : writes % 2 === 0 ? 'committed' : 'aborted');
  return {
    ...system, roles: [{ ...coordinator!, read, write: (...args) => { writes += 1; return coordinator!.write(...args); } }, ...others],
    violation: ({ answers }) => (answers.length > 1 ? 'AC1: both outcomes are told' : null),
  };
}
