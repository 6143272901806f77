import { describe, expect, it } from '@jest/globals';
import { timeOrderedKey } from '../../libs/client/src/time-ordered-key.js';
import { keyTimeOf, phasesOf, summarisePhases, type TimedEvent } from './phases.js';

/** `10 send PREPARE`, one each line. */
function events(text: string): readonly TimedEvent[] {
  return text.trim().split('\n').map((line) => {
    const [atMs, type, name] = line.trim().split(' ') as [string, string, string];
    return { atMs: Number(atMs), type, name };
  });
}

const COMMITTED = events(`
  100 record BEGIN
  110 send PREPARE
  112 send PREPARE
  130 receive VOTE
  150 receive VOTE
  150 record DECIDE
  157 send COMMIT
  157 send COMMIT
  170 receive ACK
  190 receive ACK
  190 record END`);

describe('the phases of a transaction', () => {
  it('are queue, prepare, vote, decision and delivery', () => {
    expect(phasesOf({ askedMs: 95, events: COMMITTED })).toEqual({ queue: 5, prepare: 12, vote: 38, decision: 7, delivery: 33 });
  });

  it('have no queue when the client made no key that tells its time', () => {
    expect(phasesOf({ askedMs: null, events: COMMITTED })).not.toHaveProperty('queue');
  });

  it('have no delivery when the one participant decides', () => {
    const onePhase = events(`
      100 record BEGIN
      105 send PREPARE_AND_COMMIT
      125 receive ONE_PHASE_OUTCOME
      125 record END`);
    expect(phasesOf({ askedMs: null, events: onePhase })).toEqual({ prepare: 5, vote: 20, decision: 0 });
  });

  it('count the second phase of 3pc to the decision', () => {
    const threePhase = events(`
      100 record BEGIN
      105 send PREPARE
      120 receive VOTE
      121 record STATE
      126 send PRE_COMMIT
      140 receive PRE_ACK
      140 record STATE
      146 send COMMIT
      160 receive ACK
      160 record END`);
    expect(phasesOf({ askedMs: null, events: threePhase })).toEqual({ prepare: 5, vote: 15, decision: 26, delivery: 14 });
  });

  it('leave out what acceptors say after the majority', () => {
    const paxos = events(`
      100 record BEGIN
      106 send PREPARE
      130 receive PHASE_2B
      135 receive PHASE_2B
      135 record DECIDE
      135 send COMMIT
      140 receive PHASE_2B
      155 receive ACK
      155 record END`);
    expect(phasesOf({ askedMs: null, events: paxos })).toEqual({ prepare: 6, vote: 29, decision: 0, delivery: 20 });
  });

  it('of a saga are its first step, its answers up to the pivot, the decision and the rest', () => {
    const saga = events(`
      100 record BEGIN
      104 send EXECUTE
      120 receive EXECUTED
      121 send EXECUTE
      140 receive EXECUTED
      140 record DECIDE
      147 send EXECUTE
      165 receive EXECUTED
      165 record END`);
    expect(phasesOf({ askedMs: null, events: saga })).toEqual({ prepare: 4, vote: 36, decision: 7, delivery: 18 });
  });

  it('are not told of a transaction that has not ended', () => {
    expect(phasesOf({ askedMs: null, events: COMMITTED.slice(0, 5) })).toEqual({});
  });

  it('are summed up by percentiles, without the phases that nobody had', () => {
    const all = Array.from({ length: 100 }, (_, i) => ({ askedMs: null, events: COMMITTED.map((event) => (event.atMs >= 157 ? { ...event, atMs: event.atMs + i } : event)) }));
    const summary = summarisePhases(all);
    expect(summary.map(({ name }) => name)).toEqual(['prepare', 'vote', 'decision', 'delivery']);
    expect(summary.find(({ name }) => name === 'decision')).toEqual({ name: 'decision', p50: 56, p95: 101, p99: 105 });
  });
});

describe('the time in a key', () => {
  it('is that at which the client library made it', () => {
    expect(keyTimeOf(timeOrderedKey(1_750_000_000_123))).toBe(1_750_000_000_123);
    expect(keyTimeOf(`${timeOrderedKey(1_750_000_000_123)}:17`)).toBe(1_750_000_000_123);
  });

  it('is not known of other keys', () => {
    expect(keyTimeOf('order-17')).toBeNull();
    expect(keyTimeOf('0f8fad5b-d9cb-469f-a165-70867728950e')).toBeNull();
    expect(keyTimeOf(null)).toBeNull();
  });
});
