/** The exhaustive checker: what it says of the right machines, of broken ones, and of bounds that make no sense. */
import { describe, expect, test } from '@jest/globals';
import { check, type CheckResult } from '../src/checker/check.js';
import { boundsOf, type Bounds } from '../src/checker/bounds.js';
import { PRESETS } from '../src/checker/presets.js';
import { atomicTransaction, checkedSystem, paxosTransaction } from '../src/checker/systems.js';
import { paxosCommitMutants } from '../src/mutants/paxos-commit.js';
import { twoPhaseCommitMutants } from '../src/mutants/two-phase-commit.js';
import type { CommonInput, Role, System } from '../src/system.js';

const TWO = { votes: ['yes', 'yes'] } as const;
const CALM: Partial<Bounds> = { crashes: 0, takeOvers: 0, firings: 0 };

function mutant(name: string, votes = atomicTransaction(TWO)): System {
  return twoPhaseCommitMutants.find((each) => each.name === name)!.system(votes);
}

function violationOf(system: System, bounds: Partial<Bounds>): string {
  return check(system, bounds).violation?.text ?? 'nothing found';
}

describe('the right machines', () => {
  test.each([
    ['2pc', TWO, { crashes: 1, takeOvers: 1, firings: 0 }],
    ['2pc', { votes: ['yes', 'read-only'] }, { crashes: 0, takeOvers: 0, commands: 1, duplicates: 1 }],
    ['3pc', TWO, { ...CALM, crashes: 1 }],
    ['paxos-commit', TWO, { ...CALM, takeOvers: 1, feedback: 'at once', healEvery: 50 }],
    ['saga', {}, { ...CALM, crashes: 1, takeOvers: 1, losses: 1 }],
  ] as const)('%s %j survives every order of events within %j', (protocol, options, bounds) => {
    expect(check(checkedSystem(protocol, options), bounds)).toMatchObject({ exhausted: true, violation: null });
  });

  test('the same check explores the same worlds', () => {
    const counts = ({ states, transitions, depth }: CheckResult): unknown => ({ states, transitions, depth });
    const once = (): unknown => counts(check(checkedSystem('2pc', TWO), { crashes: 0, takeOvers: 0 }));
    expect(once()).toEqual(once());
  });

  test('two orders of two independent deliveries lead to one world', () => {
    // START, then two PREPAREs in either order, two votes, ...: 2PC without faults, counted by hand up to the votes.
    const { states, depth } = check(checkedSystem('2pc', TWO), CALM);
    // start, 2 PREPAREs, 2 VOTEs, REGISTERED, 2 COMMITs, 2 ACKs
    expect(depth).toBe(10);
    // Before the decision each branch is asked, has voted, or was heard (3 x 3); deciding; after it told, has acknowledged, or was heard (3 x 3); nothing yet.
    expect(states).toBe(9 + 9 + 1);
  });
});

describe('broken machines', () => {
  test('an inquiry answered without the register splits the transaction, and the counterexample shows how', () => {
    const { violation, exhausted } = check(mutant('presumes-without-the-register'), { crashes: 0, healEvery: 0 });
    expect(exhausted).toBe(false);
    expect(violation?.text).toMatch(/AC1|no rule for input/);
    expect(violation?.transcript).toContain('takes the shard over (tenure 2)');
    expect(violation?.transcript).toContain('PRESUME');
    expect(violation?.transcript.trimEnd()).toMatch(/VIOLATION .*$/);
  });

  test('the counterexample is the shortest: a COMMIT proposed at the timeout takes a request and a timer', () => {
    const { violation, depth } = check(mutant('commits-at-timeout'), { ...CALM, timers: { 'prepare-timeout': 1 }, healEvery: 0 });
    expect(violation?.text).toMatch(/^AC3/);
    expect(depth).toBe(1);
    expect(violation?.events.filter(({ kind }) => kind === 'step')).toHaveLength(2);
  });

  test.each([
    ['prepares-again', { ...CALM, duplicates: 1 }, /^EFFECTS/],
    ['prepares-again', { ...CALM, duplicates: 'unlimited' }, /^EFFECTS/],
    ['never-inquires', { ...CALM, crashes: 1 }, /^AC5/],
    ['never-repeats-a-decision', CALM, /^AC5/],
    ['aborts-although-all-agree', { ...CALM, healEvery: 0 }, /^AC4/],
    ['register-can-be-overwritten', { ...CALM, takeOvers: 1 }, /^AC1/],
    ['believes-an-uncertain-peer', { ...CALM, firstAttempts: { inquire: 1 }, timers: { inquire: 1 } }, /AC1|UNEXPECTED/],
  ] satisfies [string, Partial<Bounds>, RegExp][])('%s is found within %j', (name, bounds, text) => {
    expect(violationOf(mutant(name), bounds)).toMatch(text);
  });

  test('a protocol that must not block is asked to end without its coordinator', () => {
    const neverLeads = paxosCommitMutants.find(({ name }) => name === 'never-leads')!.system(paxosTransaction(TWO));
    const { violation } = check(neverLeads, CALM);
    expect(violation?.text).toMatch(/^AC5/);
    expect(violation?.transcript).toContain('for good');
  });

  test('what the bounds leave out is not found', () => {
    expect(violationOf(mutant('prepares-again'), CALM)).toBe('nothing found');
    expect(violationOf(mutant('register-can-be-overwritten'), CALM)).toBe('nothing found');
  });

  test('a row that is lost with the process is found by a crash between two steps', () => {
    const forgetful = forgetsRows(checkedSystem('2pc', TWO));
    expect(violationOf(forgetful, { ...CALM, healEvery: 0 })).toBe('nothing found');
    expect(violationOf(forgetful, { ...CALM, crashes: 1 })).not.toBe('nothing found');
  });

  test('a participant whose timer is set again for ever, although all has ended, is found', () => {
    expect(violationOf(restless(checkedSystem('2pc', TWO)), CALM)).toBe('AC5: all has ended, and timers go on');
  });

  test('two who answer each other for ever are found, although all has ended', () => {
    expect(violationOf(gossips(checkedSystem('2pc', TWO)), CALM)).toBe('AC5: all is healed, and messages lead to messages for ever');
  });

  test('textbook three-phase commit splits without any crash: slow messages and timeouts are enough', () => {
    const { violation } = check(checkedSystem('textbook-3pc', TWO), { crashes: 0, takeOvers: 0, firings: 2 });
    expect(violation?.text).toMatch(/AC1|UNEXPECTED/);
  });
});

/** Participants that start from nothing. */
function forgetsRows(system: System): System {
  return { ...system, roles: system.roles.map((role) => (role.name === 'coordinator' ? role : { ...role, boot: () => ({ state: null, input: null }) })) };
}

function withParticipants(system: System, step: (of: Role, ...args: Parameters<Role['step']>) => ReturnType<Role['step']>): System {
  return { ...system, roles: system.roles.map((of) => (of.name === 'coordinator' ? of : { ...of, step: (...args) => step(of, ...args) })) };
}

function restless(system: System): System {
  const again = { set: 'again', atMs: 0, attempt: 0 };
  return withParticipants(system, (of, state, input, around) => {
    if ((input as CommonInput).kind === 'TIMER' && (input as { readonly timer: string }).timer === 'again') return { state, records: [], messages: [], timers: [again] };
    const step = of.step(state, input, around);
    return { ...step, timers: [...step.timers, again] };
  });
}

/** Every COMMIT is passed on to the other participant. */
function gossips(system: System): System {
  return withParticipants(system, (of, state, input, around) => {
    const step = of.step(state, input, around);
    const { message } = input as { readonly message?: { readonly kind: string; readonly branch: number } };
    if (message?.kind !== 'COMMIT') return step;
    const other = 1 - message.branch;
    return { ...step, messages: [...step.messages, { to: `participant ${other}`, message: { ...message, branch: other } }] };
  });
}

describe('bounds', () => {
  test('more messages in flight than a world has room for are an error, not a smaller world', () => {
    const flood = withParticipants(checkedSystem('2pc', TWO), (of, state, input, around) => {
      const step = of.step(state, input, around);
      return { ...step, messages: Array.from({ length: 5000 }, () => step.messages).flat() };
    });
    expect(() => check(flood, CALM)).toThrow(/^more than \d+ messages of 2pc are in flight$/);
  });

  test('a search that is stopped by the bound on states does not claim to have seen everything', () => {
    const { states, exhausted, violation } = check(checkedSystem('2pc', TWO), { mostStates: 1000 });
    expect({ exhausted, violation }).toEqual({ exhausted: false, violation: null });
    expect(states).toBeGreaterThanOrEqual(1000);
  });

  test('a loss takes a message away, and what is left still ends', () => {
    const without = check(checkedSystem('2pc', TWO), CALM);
    const withLoss = check(checkedSystem('2pc', TWO), { ...CALM, losses: 1 });
    expect(withLoss.states).toBeGreaterThan(without.states);
    expect(withLoss).toMatchObject({ exhausted: true, violation: null });
  });

  test('crashes inside a step reach worlds that crashes between steps do not', () => {
    const idle = check(checkedSystem('2pc', TWO), { ...CALM, crashes: 1, crashPoints: 'idle' });
    const all = check(checkedSystem('2pc', TWO), { ...CALM, crashes: 1, crashPoints: 'all' });
    expect(all.states).toBeGreaterThan(idle.states);
  });

  test('a timer of one role can be counted apart', () => {
    const one = check(checkedSystem('2pc', TWO), { ...CALM, timers: { 'inquire at participant 0': 1 } });
    const both = check(checkedSystem('2pc', TWO), { ...CALM, timers: { inquire: 1 } });
    expect(one.states).toBeLessThan(both.states);
    expect(one.states).toBeGreaterThan(check(checkedSystem('2pc', TWO), CALM).states);
  });

  test.each([
    [{ crashes: 8 }, 'crashes is 8; allowed is a whole number from 0 to 7'],
    [{ losses: -1 }, 'losses is -1; allowed is a whole number from 0 to 7'],
    [{ duplicates: 1.5 }, "duplicates is 1.5; allowed is a whole number from 0 to 7 or 'unlimited'"],
    [{ takeOvers: 3 }, 'takeOvers is 3; allowed is a whole number from 0 to 2'],
    [{ timers: { resend: 9 } }, 'timers.resend is 9; allowed is a whole number from 0 to 7'],
    [{ times: [5, 5] }, 'times is [5,5]; allowed is one to four rising numbers of milliseconds'],
    [{ mostStates: 0 }, 'mostStates is 0; allowed is a whole number from 1 to 200000000'],
  ] satisfies [Partial<Bounds>, string][])('%j is refused with what is allowed', (bounds, message) => {
    expect(() => check(checkedSystem('2pc', TWO), bounds)).toThrow(message);
  });

  test.each(PRESETS)('the preset $name is possible', ({ protocol, options, bounds }) => {
    expect(boundsOf(bounds)).toMatchObject(bounds);
    expect(checkedSystem(protocol, options).protocol).toBe(protocol);
  });

  test('a bound of an unknown name is refused', () => {
    expect(() => check(checkedSystem('2pc', TWO), { crashs: 1 } as Partial<Bounds>)).toThrow('crashs is 1; allowed is none of that name, but crashes,');
  });

  test('systems of impossible sizes are refused', () => {
    expect(() => checkedSystem('2pc', { votes: [] })).toThrow('0 participants; allowed is 1 to 5');
    expect(() => checkedSystem('3pc', { votes: ['yes'] })).toThrow('1 participants; allowed is 2 to 5');
    expect(() => checkedSystem('paxos-commit', { f: 3 })).toThrow('f is 3; allowed is 0 to 2');
    expect(() => checkedSystem('4pc' as '2pc')).toThrow('no protocol 4pc; allowed is 2pc, 3pc, textbook-3pc, paxos-commit, saga');
  });
});
