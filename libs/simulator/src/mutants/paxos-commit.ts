import { sameBallot, stepAcceptor, stepPaxosLeader, stepPaxosParticipant, type AcceptorState, type Ballot, type InstanceValue, type ToAcceptor } from '#libs/protocol';
import type { Role, RoleName, System } from '../system.js';
import { paxosCommit, type PaxosMachines, type PaxosTransaction } from '../systems/paxos-commit.js';
import type { Mutant } from './mutant.js';

type PaxosMutant = Mutant<PaxosTransaction>;
type Broken<Step extends (...args: never[]) => unknown> = (correct: Step, ...args: Parameters<Step>) => ReturnType<Step>;
type Write = Role['write'];

const CORRECT: PaxosMachines = { leader: stepPaxosLeader, acceptor: stepAcceptor, participant: stepPaxosParticipant };

function mutant(name: string, breaks: string, system: PaxosMutant['system']): PaxosMutant {
  return { name, breaks, protocol: 'paxos-commit', system };
}

function leader(name: string, breaks: string, broken: Broken<typeof stepPaxosLeader>): PaxosMutant {
  const machines: PaxosMachines = { ...CORRECT, leader: (...args) => broken(stepPaxosLeader, ...args) };
  return mutant(name, breaks, (transaction) => paxosCommit(transaction, machines));
}

function acceptor(name: string, breaks: string, broken: Broken<typeof stepAcceptor>): PaxosMutant {
  const machines: PaxosMachines = { ...CORRECT, acceptor: (...args) => broken(stepAcceptor, ...args) };
  return mutant(name, breaks, (transaction) => paxosCommit(transaction, machines));
}

function participant(name: string, breaks: string, broken: Broken<typeof stepPaxosParticipant>): PaxosMutant {
  const machines: PaxosMachines = { ...CORRECT, participant: (...args) => broken(stepPaxosParticipant, ...args) };
  return mutant(name, breaks, (transaction) => paxosCommit(transaction, machines));
}

/** The machines are right, the store under a role is not. */
function withStore(system: System, of: RoleName, broken: (correct: Write, ...args: Parameters<Write>) => ReturnType<Write>): System {
  return { ...system, roles: system.roles.map((role) => (role.name === of ? { ...role, write: (...args) => broken(role.write, ...args) } : role)) };
}

export const paxosCommitMutants: readonly PaxosMutant[] = [
  acceptor('promise-not-persisted', 'an acceptor answers a 1a without writing its promise down', (correct, ...args) => (
    unwritten(correct(...args), args[1].message, 'PHASE_1A')
  )),
  acceptor('acceptance-not-persisted', 'an acceptor answers a 2a without writing down what it has accepted', (correct, ...args) => (
    unwritten(correct(...args), args[1].message, 'PHASE_2A')
  )),
  acceptor('accepts-below-the-promise', 'an acceptor accepts a 2a although it has promised a greater ballot', (correct, state, input, nowMs, config) => {
    const { message } = input;
    return correct(message.kind === 'PHASE_2A' ? withoutPromise(state, message.ballot) : state, input, nowMs, config);
  }),
  mutant('replaced-acceptor-still-writes', 'the one acceptor of F=0 writes in spite of the fence, from the memory of an owner that was replaced', (transaction) => (
    withStore(paxosCommit({ ...transaction, f: 0 }), 'acceptor 0', (correct, durable, record) => correct(durable, record, false))
  )),
  leader('commits-on-a-majority-of-votes', 'a leader proposes `prepared` for missing votes when more than half of the branches voted yes', (correct, ...args) => {
    const step = correct(...args);
    const { values, phase } = step.state;
    if (phase !== 'writing' || values === null || values.filter((value) => value === 'prepared').length * 2 <= values.length) return step;
    const all = values.map((): InstanceValue => 'prepared');
    const messages = step.ready.messages.map(({ to, message }) => ({ to, message: message.kind === 'PHASE_2A' ? { ...message, values: all } : message }));
    return { ...step, state: { ...step.state, values: all }, ready: { ...step.ready, messages } };
  }),
  leader('decides-on-one-acceptor', 'a leader takes the first 2b for the decision', (correct, state, input, nowMs, config) => {
    if (state === null || input.kind !== 'MESSAGE' || input.message.kind !== 'PHASE_2B' || !sameBallot(input.message.ballot, state.ballot)) {
      return correct(state, input, nowMs, config);
    }
    const own = state.group.acceptors.indexOf(input.message.acceptor);
    return correct({ ...state, accepts: state.accepts.map((_, i) => i !== own) }, input, nowMs, config);
  }),
  leader('reads-one-acceptor', 'a leader proposes after the first 1b', (correct, state, input, nowMs, config) => {
    if (state === null || input.kind !== 'MESSAGE' || input.message.kind !== 'PHASE_1B' || !sameBallot(input.message.ballot, state.ballot)) {
      return correct(state, input, nowMs, config);
    }
    const own = state.group.acceptors.indexOf(input.message.acceptor);
    return correct({ ...state, promises: state.promises.map((promise, i) => (i === own ? promise : [])) }, input, nowMs, config);
  }),
  leader('ballot-reused-after-restart', 'the coordinator leads ballot number 1 again after a crash, under the same id', (correct, state, input, nowMs, config) => {
    const own = config.address.role === 'coordinator' ? { ...config, leader: 100 } : config;
    return correct(state, input.kind === 'RECOVER' ? { ...input, ballot: null } : input, nowMs, own);
  }),
  leader('ignores-accepted-values', 'a leader proposes `aborted` everywhere, whatever the acceptors have accepted', (correct, state, input, nowMs, config) => {
    if (input.kind !== 'MESSAGE' || input.message.kind !== 'PHASE_1B') return correct(state, input, nowMs, config);
    return correct(state, { ...input, message: { ...input.message, accepted: input.message.accepted.map(() => null) } }, nowMs, config);
  }),
  leader('takes-the-lowest-ballot', 'a leader proposes the value of the smallest ballot that it is told, not of the greatest', (correct, state, input, nowMs, config) => {
    if (input.kind !== 'MESSAGE' || input.message.kind !== 'PHASE_1B') return correct(state, input, nowMs, config);
    const upsideDown = ({ n, leader: id }: Ballot): Ballot => ({ n: -n, leader: -id });
    const accepted = input.message.accepted.map((vote) => vote && { ...vote, ballot: upsideDown(vote.ballot) });
    return correct(state, { ...input, message: { ...input.message, accepted } }, nowMs, config);
  }),
  leader('mixes-ballots', 'a leader counts the 2b\'s of other ballots for its own', (correct, state, input, nowMs, config) => {
    if (state === null || input.kind !== 'MESSAGE' || input.message.kind !== 'PHASE_2B') return correct(state, input, nowMs, config);
    return correct(state, { ...input, message: { ...input.message, ballot: state.ballot } }, nowMs, config);
  }),
  leader('timeout-aborts-by-decree', 'the coordinator aborts at the prepare timeout without asking the acceptors', (correct, state, input, nowMs, config) => {
    if (state === null || input.kind !== 'TIMER' || input.timer !== 'prepare-timeout') return correct(state, input, nowMs, config);
    const decree = { protocol: 'paxos-commit', kind: 'VOTE', txid: state.group.txid, branch: 0, vote: 'no', reason: { code: 'PREPARE_TIMEOUT' } } as const;
    return correct(state, { kind: 'MESSAGE', message: decree }, nowMs, config);
  }),
  leader('presumes-abort', 'a coordinator that does not know the outcome yet answers an inquiry with ABORT', (correct, ...args) => {
    const step = correct(...args);
    const [, input] = args;
    if (step.ignored !== 'undecided-inquiry' || input.kind !== 'MESSAGE' || input.message.kind !== 'INQUIRY') return step;
    const { participant, txid, branch } = input.message;
    const abort = { protocol: 'paxos-commit', kind: 'ABORT', txid, branch, reason: { code: 'NO_RECORD' } } as const;
    return { state: step.state, ready: { ...step.ready, messages: [{ to: { role: 'participant', name: participant }, message: abort }] } };
  }),
  participant('votes-before-the-row-is-durable', 'a branch\'s 2a leaves although its row was never written', (correct, ...args) => {
    const step = correct(...args);
    return { ...step, ready: { ...step.ready, records: step.ready.records.filter(({ row }) => row.state !== 'prepared') } };
  }),
  participant('aborts-alone-in-doubt', 'a branch in doubt aborts when it hears nothing', (correct, state, input, nowMs, config) => {
    if (input.kind !== 'TIMER' || state.phase !== 'stored' || state.row.state !== 'prepared') return correct(state, input, nowMs, config);
    const { txid, branch } = state.row;
    return correct(state, { kind: 'MESSAGE', message: { protocol: 'paxos-commit', kind: 'ABORT', txid, branch, reason: { code: 'TIRED' } } }, nowMs, config);
  }),
  participant('never-leads', 'a branch in doubt asks the coordinator for ever, and never the leader on its own site', (correct, ...args) => {
    const step = correct(...args);
    return { ...step, ready: { ...step.ready, messages: step.ready.messages.filter(({ message }) => message.kind !== 'LEAD') } };
  }),
];

function unwritten(step: ReturnType<typeof stepAcceptor>, message: ToAcceptor, kind: ToAcceptor['kind']): ReturnType<typeof stepAcceptor> {
  return message.kind === kind ? { ...step, ready: { ...step.ready, records: [] } } : step;
}

/** An acceptor that does not remember any promise greater than this ballot. */
function withoutPromise(state: AcceptorState | null, ballot: Ballot): AcceptorState | null {
  if (state?.phase !== 'stored' || sameBallot(state.row.promised, ballot)) return state;
  return ballot.n === 0 ? null : { ...state, row: { ...state.row, promised: ballot } };
}
