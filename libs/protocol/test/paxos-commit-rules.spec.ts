/** The rules of Gray and Lamport, Consensus on Transaction Commit, TODS 31(1) 2006, one by one on the machines. */
import { describe, expect, test } from '@jest/globals';
import {
  BALLOT_ZERO, makeTxid, stepAcceptor, stepPaxosLeader, stepPaxosParticipant,
  type Accepted, type AcceptorState, type Ballot, type HandlerVote, type InstanceValue, type PaxosLeaderConfig, type PaxosLeaderInput, type PaxosLeaderState, type PaxosLeaderStep,
  type PaxosParticipantConfig, type PaxosParticipantInput, type PaxosParticipantState, type PaxosParticipantStep, type ToAcceptor, type ToPaxosLeader, type TransactionSpec,
} from '../src/index.js';

const TXID = makeTxid(1, 0, new Uint8Array(8));
const ABOUT = { protocol: 'paxos-commit', txid: TXID } as const;
const PEERS = ['p0', 'p1'];
const COORDINATOR = { role: 'coordinator' } as const;
const LEADER: PaxosLeaderConfig = { leader: 7, address: COORDINATOR, resendAfterMs: 100, maxResendIntervalMs: 1000, staggerMs: 0, mostRepeats: 3 };
const SPEC: TransactionSpec = {
  txid: TXID, protocol: 'paxos-commit', createdAtMs: 0, deadlineMs: 1000, waitFor: 'decided',
  branches: PEERS.map((participant) => ({ participant, operation: 'work', payload: null })),
};
const OWN: Ballot = { n: 1, leader: 7 };

const acceptorsFor = (f: number) => Array.from({ length: 2 * f + 1 }, (_, i) => `a${i}`);
const names = (messages: readonly { readonly to: object }[]) => messages.map(({ to }) => ('name' in to ? to.name : 'coordinator'));

// ---------------------------------------------------------------- leader

const lead = (state: PaxosLeaderState | null, input: PaxosLeaderInput) => stepPaxosLeader(state, input, 0, LEADER);
const started = (f: number) => lead(null, { kind: 'START', spec: SPEC, acceptors: acceptorsFor(f) }).state;
const hear = (state: PaxosLeaderState, message: ToPaxosLeader) => lead(state, { kind: 'MESSAGE', message });
const cancelled = (f: number) => lead(started(f), { kind: 'CANCEL', reason: { code: 'CANCELLED' } });

function twoB(acceptor: string, ballot: Ballot, values: readonly InstanceValue[]): ToPaxosLeader {
  return { ...ABOUT, kind: 'PHASE_2B', acceptor, ballot, values };
}

function oneB(acceptor: string, accepted: readonly (Accepted | null)[], ballot: Ballot = OWN): ToPaxosLeader {
  return { ...ABOUT, kind: 'PHASE_1B', acceptor, ballot, accepted };
}

/** What the leader proposes after these 1b's, by branch. */
function proposed(step: PaxosLeaderStep): readonly unknown[] {
  return step.ready.messages.flatMap(({ message }) => (message.kind === 'PHASE_2A' ? [message.values] : []));
}

describe('a leader', () => {
  test.each([[0, 1], [1, 2], [2, 3]])('F=%i: commits with the 2b of %i acceptors, not before, and writes nothing in between (section 4.2)', (f, majority) => {
    let state = started(f);
    for (const acceptor of acceptorsFor(f).slice(0, majority - 1)) state = hear(state, twoB(acceptor, BALLOT_ZERO, ['prepared', 'prepared'])).state;
    expect(state.outcome).toBeNull();
    const decided = hear(state, twoB(`a${majority - 1}`, BALLOT_ZERO, ['prepared', 'prepared']));
    expect(decided.state.outcome).toBe('committed');
    expect(decided.ready.records).toEqual([]);
    expect(decided.ready.messages.map(({ message }) => message.kind)).toEqual(['COMMIT', 'COMMIT']);
  });

  test('counts an acceptor that repeats its 2b once', () => {
    const first = hear(started(1), twoB('a0', BALLOT_ZERO, ['prepared', 'prepared'])).state;
    expect(hear(first, twoB('a0', BALLOT_ZERO, ['prepared', 'prepared']))).toMatchObject({ state: { outcome: null }, ignored: 'repeated-reply' });
  });

  test('holds a NO: it aborts without asking any acceptor', () => {
    const step = hear(started(1), { ...ABOUT, kind: 'VOTE', branch: 1, vote: 'no', reason: { code: 'EMPTY' } });
    expect(step.state).toMatchObject({ outcome: 'aborted', reason: { code: 'EMPTY', participant: 'p1' } });
    expect(step.ready.messages.map(({ to, message }) => [to, message.kind])).toEqual([[{ role: 'participant', name: 'p0' }, 'ABORT']]);
  });

  test.each(['CANCEL', 'RESOLVE', 'timeout'])('%s while undecided is no decree: LEAD is durable, then phase 1 of a greater ballot', (what) => {
    const input: PaxosLeaderInput = what === 'timeout' ? { kind: 'TIMER', timer: 'prepare-timeout', attempt: 0 } : { kind: what as 'CANCEL', reason: { code: 'STOP' } };
    const step = lead(started(1), input);
    expect(step.state.outcome).toBeNull();
    expect(step.ready.records).toMatchObject([{ kind: 'LEAD', ballot: OWN }]);
    expect(step.ready.messages.map(({ message }) => message.kind)).toEqual(['PHASE_1A', 'PHASE_1A', 'PHASE_1A']);
  });

  test('comes back after a crash with a ballot greater than the recorded one, and with the first if it never led', () => {
    const group = { txid: TXID, peers: PEERS, acceptors: acceptorsFor(1) };
    const ballots = [{ n: 4, leader: 7 }, null].map((ballot) => lead(null, { kind: 'RECOVER', group, spec: SPEC, ballot }).state.ballot);
    expect(ballots).toEqual([{ n: 5, leader: 7 }, { n: 1, leader: 7 }]);
  });

  test('proposes the value of the greatest ballot, and `aborted` where it finds none (section 4.1, phase 2a)', () => {
    const state = cancelled(1).state;
    const first = hear(state, oneB('a0', [{ ballot: BALLOT_ZERO, value: 'prepared' }, null])).state;
    expect(proposed(hear(first, oneB('a2', [null, null])))).toEqual(acceptorsFor(1).map(() => ['prepared', 'aborted']));
    const older = hear(state, oneB('a0', [{ ballot: { n: 1, leader: 3 }, value: 'aborted' }, { ballot: BALLOT_ZERO, value: 'prepared' }])).state;
    const newer: readonly Accepted[] = [{ ballot: { n: 1, leader: 2 }, value: 'prepared' }, { ballot: { n: 1, leader: 3 }, value: 'aborted' }];
    expect(proposed(hear(older, oneB('a1', newer)))[0]).toEqual(['aborted', 'aborted']);
  });

  test('does not propose before a majority has promised', () => {
    expect(proposed(hear(cancelled(2).state, oneB('a0', [null, null])))).toEqual([]);
  });

  test('commits in spite of a cancel when all had voted yes', () => {
    let state = cancelled(1).state;
    const votes = PEERS.map((): Accepted => ({ ballot: BALLOT_ZERO, value: 'prepared' }));
    for (const acceptor of ['a0', 'a1']) state = hear(state, oneB(acceptor, votes)).state;
    for (const acceptor of ['a0', 'a1']) state = hear(state, twoB(acceptor, OWN, ['prepared', 'prepared'])).state;
    expect(state).toMatchObject({ phase: 'committing', outcome: 'committed', reason: null });
  });

  test('names whose vote was missing at the timeout', () => {
    let state = lead(started(1), { kind: 'TIMER', timer: 'prepare-timeout', attempt: 0 }).state;
    for (const acceptor of ['a0', 'a1']) state = hear(state, oneB(acceptor, [{ ballot: BALLOT_ZERO, value: 'prepared' }, null])).state;
    for (const acceptor of ['a0', 'a1']) state = hear(state, twoB(acceptor, OWN, ['prepared', 'aborted'])).state;
    expect(state.reason).toEqual({ code: 'PREPARE_TIMEOUT', participant: 'p1', detail: 'no vote from p1 (branch 1) within 1000 ms' });
  });

  test('that was refused passes the ballot it met, when its timer fires and not before', () => {
    const refused = hear(cancelled(1).state, { ...ABOUT, kind: 'REFUSED', acceptor: 'a1', ballot: OWN, promised: { n: 3, leader: 1 } });
    expect(refused.ready.messages).toEqual([]);
    const again = lead(refused.state, { kind: 'TIMER', timer: 'ballot', attempt: 0 });
    expect(again.ready.records).toMatchObject([{ kind: 'LEAD', ballot: { n: 4, leader: 7 } }]);
    expect(again.ready.timers).toEqual([{ set: 'ballot', atMs: 200, attempt: 1 }]);
  });

  test('repeats its ballot to the silent acceptors only', () => {
    const first = hear(cancelled(1).state, oneB('a1', [null, null])).state;
    expect(names(lead(first, { kind: 'TIMER', timer: 'ballot', attempt: 0 }).ready.messages)).toEqual(['a0', 'a2']);
  });

  test('on a participant\'s site rests after some repetitions, and leads a greater ballot when asked again', () => {
    const ask: PaxosLeaderInput = { kind: 'MESSAGE', message: { ...ABOUT, kind: 'LEAD', peers: PEERS, acceptors: acceptorsFor(1) } };
    const leading = lead(null, ask).state;
    const resting = lead(leading, { kind: 'TIMER', timer: 'ballot', attempt: LEADER.mostRepeats });
    expect([resting.state.phase, resting.ready]).toEqual(['resting', { records: [], messages: [], timers: [] }]);
    expect(lead(resting.state, ask).state.ballot).toEqual({ n: 2, leader: 7 });
  });
});

// ---------------------------------------------------------------- acceptor

const listen = (state: AcceptorState | null, message: ToAcceptor, rowsKeptMs?: number, nowMs = 0) => (
  stepAcceptor(state, { kind: 'MESSAGE', message }, nowMs, { name: 'a0', ...(rowsKeptMs !== undefined && { rowsKeptMs }) })
);

function oneA(ballot: Ballot): ToAcceptor {
  return { ...ABOUT, kind: 'PHASE_1A', ballot, peers: PEERS, leader: { role: 'leader', name: 'p1' } };
}

function twoA(ballot: Ballot, values: readonly (InstanceValue | null)[]): ToAcceptor {
  return { ...ABOUT, kind: 'PHASE_2A', ballot, peers: PEERS, values, leader: COORDINATOR };
}

describe('an acceptor', () => {
  const half = listen(null, twoA(BALLOT_ZERO, ['prepared', null]));
  const full = listen(half.state, twoA(BALLOT_ZERO, [null, 'read-only']));

  test('writes one row and sends one 2b for all participants (section 4.2)', () => {
    expect(half.ready).toEqual({ records: [], messages: [], timers: [] });
    expect(full.ready.records).toHaveLength(1);
    expect(full.ready.messages).toEqual([{ to: COORDINATOR, message: { ...ABOUT, kind: 'PHASE_2B', acceptor: 'a0', ballot: BALLOT_ZERO, values: ['prepared', 'read-only'] } }]);
  });

  test('repeats the 2b, without a write, when a vote is repeated', () => {
    expect(listen(full.state, twoA(BALLOT_ZERO, ['prepared', null])).ready).toEqual({ ...full.ready, records: [] });
  });

  test('accepts the votes that wait in memory together with its promise, so that the leader finds them', () => {
    const promised = listen(half.state, oneA(OWN));
    expect(promised.ready.records).toHaveLength(1);
    expect(promised.ready.messages[0]!.message).toMatchObject({ kind: 'PHASE_1B', accepted: [{ ballot: BALLOT_ZERO, value: 'prepared' }, null] });
  });

  test('takes nothing below its promise: a vote is dropped, a leader is told the greater ballot (section 4.1)', () => {
    const { state } = listen(null, oneA({ n: 2, leader: 1 }));
    expect(listen(state, twoA(BALLOT_ZERO, ['prepared', null])).ignored).toBe('ballot-passed');
    for (const message of [oneA(OWN), twoA(OWN, ['aborted', 'aborted'])]) {
      const step = listen(state, message);
      expect(step.ready.records).toEqual([]);
      expect(step.ready.messages[0]!.message).toMatchObject({ kind: 'REFUSED', ballot: OWN, promised: { n: 2, leader: 1 } });
    }
  });

  test('accepts a leader\'s values at its promise or above, and remembers that as a promise too', () => {
    const accepted = listen(listen(null, oneA(OWN)).state, twoA({ n: 3, leader: 2 }, ['prepared', 'aborted']));
    expect(accepted.ready.records).toMatchObject([{ row: { promised: { n: 3, leader: 2 } } }]);
    expect(listen(accepted.state, oneA({ n: 2, leader: 9 })).ready.messages[0]!.message.kind).toBe('REFUSED');
  });

  test('neither promises nor accepts when its row may have been cleaned up', () => {
    for (const message of [oneA(OWN), twoA(BALLOT_ZERO, ['prepared', null])]) {
      expect(listen(null, message, 1000, 1000).ignored).toBe('too-old-to-promise');
      expect(listen(null, message, 1000, 999).ignored).toBeUndefined();
    }
  });
});

// ---------------------------------------------------------------- participant

const BRANCH: PaxosParticipantConfig = { name: 'p1', repeatAfterMs: 100, maxRepeatIntervalMs: 1000, staggerMs: 10, leadAfterRepeats: 2 };
const take = (state: PaxosParticipantState, input: PaxosParticipantInput) => stepPaxosParticipant(state, input, 0, BRANCH);

function asked(f: number, vote: HandlerVote): PaxosParticipantStep {
  const prepare = { ...ABOUT, kind: 'PREPARE', branch: 1, operation: 'work', payload: null, peers: PEERS, acceptors: acceptorsFor(f) } as const;
  return take(take({ phase: 'none' }, { kind: 'MESSAGE', message: prepare }).state, { kind: 'EXECUTED', vote });
}

describe('a participant', () => {
  test.each([[0, ['a0']], [1, ['a0', 'a1']], [2, ['a0', 'a1', 'a2']]])('F=%i: votes yes to the acceptors %j, after its row (section 4.3)', (f, expected) => {
    const { ready } = asked(f, { vote: 'yes' });
    expect(ready.records).toMatchObject([{ row: { state: 'prepared' } }]);
    expect(names(ready.messages)).toEqual(expected);
    expect(ready.messages[0]!.message).toMatchObject({ kind: 'PHASE_2A', ballot: BALLOT_ZERO, values: [null, 'prepared'] });
  });

  test('votes no to the coordinator alone, and so proposes nothing in ballot 0', () => {
    const { ready } = asked(1, { vote: 'no', reason: { code: 'EMPTY' } });
    expect(ready.records).toMatchObject([{ row: { state: 'aborted' } }]);
    expect(ready.messages).toEqual([{ to: COORDINATOR, message: { ...ABOUT, kind: 'VOTE', branch: 1, vote: 'no', reason: { code: 'EMPTY' } } }]);
    expect(ready.timers).toEqual([]);
  });

  test('in doubt: repeats its vote to all 2F+1 acceptors, then asks the coordinator too, then has its own site lead', () => {
    const { state } = asked(1, { vote: 'yes' });
    const sent = [0, 1, 2].map((attempt) => take(state, { kind: 'TIMER', timer: 'in-doubt', attempt }).ready.messages);
    expect(sent.map((messages) => messages.map(({ message }) => message.kind))).toEqual([
      ['PHASE_2A', 'PHASE_2A', 'PHASE_2A'], ['PHASE_2A', 'PHASE_2A', 'PHASE_2A', 'INQUIRY'], ['INQUIRY', 'LEAD'],
    ]);
    expect(sent[2]!.at(-1)!.to).toEqual({ role: 'leader', name: 'p1' });
  });

  test('read-only: tells the acceptors and waits for nothing', () => {
    const { ready } = asked(1, { vote: 'read-only' });
    expect(ready.messages.map(({ message }) => message.kind)).toEqual(['PHASE_2A', 'PHASE_2A']);
    expect(ready.timers).toEqual([]);
  });

  test('refuses a decision that contradicts its row', () => {
    const { state } = asked(1, { vote: 'no' });
    expect(() => take(state, { kind: 'MESSAGE', message: { ...ABOUT, kind: 'COMMIT', branch: 1 } })).toThrow('no rule for input COMMIT in state aborted');
  });
});
