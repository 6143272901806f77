import {
  compareElections, stepThreePhaseCoordinator, stepThreePhaseParticipant,
  type Election, type Round, type SiteRow, type ThreePhaseCoordinatorInput as CoordinatorInput, type ThreePhaseCoordinatorState as CoordinatorState,
  type ThreePhaseCoordinatorStep as CoordinatorStep, type ThreePhaseParticipantInput as ParticipantInput, type ThreePhaseParticipantState as ParticipantState,
  type ThreePhaseParticipantStep as ParticipantStep,
} from '#libs/protocol';
import { textbookThreePhaseCommit } from '../systems/textbook-three-phase-commit.js';
import { THREE_PHASE_MACHINES, threePhaseCommit } from '../systems/three-phase-commit.js';
import type { Mutant } from './mutant.js';

type StepCoordinator = typeof stepThreePhaseCoordinator;
type StepParticipant = typeof stepThreePhaseParticipant;
type BrokenCoordinator = (correct: StepCoordinator, ...args: Parameters<StepCoordinator>) => CoordinatorStep;
type BrokenParticipant = (correct: StepParticipant, ...args: Parameters<StepParticipant>) => ParticipantStep;

function mutant(name: string, breaks: string, broken: { readonly coordinator?: BrokenCoordinator; readonly participant?: BrokenParticipant }): Mutant {
  const { coordinator, participant } = broken;
  const machines = {
    coordinator: coordinator ? (...args: Parameters<StepCoordinator>) => coordinator(stepThreePhaseCoordinator, ...args) : THREE_PHASE_MACHINES.coordinator,
    participant: participant ? (...args: Parameters<StepParticipant>) => participant(stepThreePhaseParticipant, ...args) : THREE_PHASE_MACHINES.participant,
  };
  return { name, breaks, protocol: '3pc', system: (transaction) => threePhaseCommit(transaction, machines) };
}

export const threePhaseCommitMutants: readonly Mutant[] = [
  mutant('promise-not-persisted', 'a participant answers a STATE_REQUEST without writing its promise', {
    participant: (correct, ...args) => (isMessage(args[1], 'STATE_REQUEST') && args[0].phase === 'stored' ? withoutRecords(correct(...args)) : correct(...args)),
  }),
  mutant('vote-before-durable', 'a YES leaves although its row was never written', {
    participant: (correct, ...args) => {
      const step = correct(...args);
      const votes = step.ready.messages.some(({ message }) => message.kind === 'VOTE' && message.vote !== 'no');
      return votes ? withoutRecords(step) : step;
    },
  }),
  mutant('attempt-before-durable', 'a participant acknowledges PRE_COMMIT and PRE_ABORT without writing that it has followed', {
    participant: (correct, ...args) => (isMessage(args[1], 'PRE_COMMIT') || isMessage(args[1], 'PRE_ABORT') ? withoutRecords(correct(...args)) : correct(...args)),
  }),
  mutant('election-reused-after-restart', 'a participant stands for election and attempts without writing anything, so that it takes the same election again after a crash', {
    participant: (correct, ...args) => {
      const step = correct(...args);
      return step.state.phase === 'stored' && step.state.round !== null ? withoutRecords(step) : step;
    },
  }),
  mutant('lower-tag-followed', 'a participant follows an attempt although it has promised a greater election', {
    participant: (correct, state, input, nowMs, config) => {
      if (state.phase !== 'stored' || input.kind !== 'MESSAGE' || (input.message.kind !== 'PRE_COMMIT' && input.message.kind !== 'PRE_ABORT')) return correct(state, input, nowMs, config);
      const { election } = input.message;
      const late = compareElections(election, state.row.lastElected) < 0;
      return correct(late ? { ...state, row: { ...state.row, lastElected: election } } : state, input, nowMs, config);
    },
  }),
  mutant('lower-election-promised', 'a site promises every election, whatever it has promised before', {
    participant: (correct, state, input, nowMs, config) => {
      if (state.phase !== 'stored' || input.kind !== 'MESSAGE' || input.message.kind !== 'STATE_REQUEST') return correct(state, input, nowMs, config);
      return correct({ ...state, row: { ...state.row, lastElected: LOWEST } }, input, nowMs, config);
    },
  }),
  mutant('attempts-on-a-minority', 'a resolver attempts what its own row suggests, without the reply of anybody else', {
    participant: (correct, ...args) => {
      const step = correct(...args);
      if (step.state.phase !== 'stored' || step.state.round?.step !== 'asking' || args[1].kind !== 'TIMER') return step;
      return thenParticipant(step, correct, fromOthers(step.state, step.state.round, 'STATE_REPLY'), args[2], args[3]);
    },
  }),
  mutant('decides-without-a-majority', 'a resolver decides what it attempts before anybody has followed', {
    participant: (correct, ...args) => {
      const step = correct(...args);
      if (step.state.phase !== 'stored' || step.state.round?.step !== 'attempting') return step;
      return thenParticipant(step, correct, fromOthers(step.state, step.state.round, 'PRE_ACK'), args[2], args[3]);
    },
  }),
  mutant('pre-commit-on-a-minority', 'the first coordinator decides to commit before anybody has acknowledged PRE_COMMIT', {
    coordinator: (correct, ...args) => {
      const step = correct(...args);
      if (args[0]?.phase !== 'preparing' || step.state.phase !== 'resolving' || step.state.round === null) return step;
      return then(step, correct, acknowledgements(step.state, step.state.round), args[2], args[3]);
    },
  }),
  mutant('maximal-attempt-ignored', 'a resolver takes an attempt to abort for none, so that an older attempt to commit counts', {
    coordinator: (correct, state, input, nowMs, config) => correct(state, withoutAbortAttempt(input), nowMs, config),
    participant: (correct, state, input, nowMs, config) => correct(state, withoutAbortAttempt(input), nowMs, config),
  }),
  mutant('attempts-forgotten', 'a site replies to a resolver as if it had never followed an attempt', {
    participant: (correct, ...args) => {
      const step = correct(...args);
      const messages = step.ready.messages.map(({ to, message }) => (
        { to, message: message.kind === 'STATE_REPLY' && message.state === 'pre-committed' ? { ...message, state: 'prepared', lastAttempt: LOWEST } as const : message }
      ));
      return { ...step, ready: { ...step.ready, messages } };
    },
  }),
  mutant('first-coordinator-again', 'a recovered coordinator attempts to commit under the first election again, over whatever its row says', {
    coordinator: (correct, state, input, nowMs, config) => {
      if (input.kind !== 'RECOVER' || input.site.state !== 'pre-aborted') return correct(state, input, nowMs, config);
      return continueVoting(correct, input, nowMs, config);
    },
  }),
  mutant('aborts-after-its-attempt', 'a coordinator that recovers after its attempt to commit aborts alone', {
    coordinator: (correct, state, input, nowMs, config) => {
      const undecided = input.kind === 'RECOVER' && input.site.state === 'pre-committed';
      return correct(state, undecided ? { ...input, site: { ...input.site, state: 'waiting' } } : input, nowMs, config);
    },
  }),
  mutant('aborts-when-no-majority-answers', 'a coordinator aborts when its attempt is not acknowledged in time', {
    coordinator: (correct, state, input, nowMs, config) => {
      if (input.kind !== 'TIMER' || input.timer !== 'resolve' || state?.phase !== 'resolving') return correct(state, input, nowMs, config);
      const { spec: { txid, branches } } = state;
      const abort = { protocol: '3pc', kind: 'ABORT', txid, from: 0, to: branches.length, reason: { code: 'TIRED' } } as const;
      return correct(state, { kind: 'MESSAGE', message: abort }, nowMs, config);
    },
  }),
  mutant('guesses-when-nobody-answers', 'a prepared participant aborts when its first election is not answered, as the textbook says', {
    participant: (correct, state, input, nowMs, config) => {
      if (input.kind !== 'TIMER' || input.attempt === 0 || state.phase !== 'stored' || state.row.state !== 'prepared') return correct(state, input, nowMs, config);
      const { txid, branch, peers } = state.row;
      const abort = { protocol: '3pc', kind: 'ABORT', txid, from: peers.length, to: branch, reason: { code: 'TIRED' } } as const;
      return correct(state, { kind: 'MESSAGE', message: abort }, nowMs, config);
    },
  }),
  mutant('abort-promised-not-recorded', 'a participant that has not voted tells a resolver `aborted` without recording it', {
    participant: (correct, ...args) => {
      const step = correct(...args);
      return args[0].phase === 'none' && isMessage(args[1], 'STATE_REQUEST') ? { state: args[0], ready: { ...step.ready, records: [] } } : step;
    },
  }),
  mutant('never-resolves', 'an undecided participant sets no timer', {
    participant: (correct, ...args) => {
      const step = correct(...args);
      return { ...step, ready: { ...step.ready, timers: [] } };
    },
  }),
  {
    name: 'unfenced-old-owner', breaks: 'the coordinator\'s rows take writes of an owner that was replaced', protocol: '3pc',
    system(transaction) {
      const system = threePhaseCommit(transaction);
      return { ...system, roles: system.roles.map((role) => (role.name === 'coordinator' ? { ...role, write: (durable, record) => role.write(durable, record, false) } : role)) };
    },
  },
  {
    name: 'textbook-3pc', breaks: 'timeouts decide instead of majorities: a partition splits it', protocol: 'textbook-3pc',
    system: textbookThreePhaseCommit,
  },
];

const LOWEST: Election = { n: 0, site: -1 };

function isMessage(input: ParticipantInput, kind: string): boolean {
  return input.kind === 'MESSAGE' && input.message.kind === kind;
}

function withoutRecords(step: ParticipantStep): ParticipantStep {
  return { ...step, ready: { ...step.ready, records: [] } };
}

function withoutAbortAttempt<Input extends CoordinatorInput | ParticipantInput>(input: Input): Input {
  if (input.kind !== 'MESSAGE' || input.message.kind !== 'STATE_REPLY' || input.message.state !== 'pre-aborted') return input;
  return { ...input, message: { ...input.message, state: 'prepared', lastAttempt: LOWEST } };
}

type Stored = Extract<ParticipantState, { phase: 'stored' }>;

/** Made-up answers of all other sites, which agree with this one. */
function fromOthers({ row }: Stored, { election }: Round, kind: 'STATE_REPLY' | 'PRE_ACK'): ParticipantInput[] {
  const state = row.state as 'pre-committed' | 'pre-aborted';
  const about = { protocol: '3pc', txid: row.txid, to: row.branch, election } as const;
  return [...row.peers, 'coordinator'].flatMap((_, from): ParticipantInput[] => (from === row.branch ? [] : [{
    kind: 'MESSAGE', message: kind === 'PRE_ACK' ? { ...about, kind, from, state } : { ...about, kind, from, state, lastAttempt: row.lastAttempt },
  }]));
}

/** As `then`, for a participant, until the round has moved on; a handler that is asked for comes last. */
function thenParticipant(first: ParticipantStep, correct: StepParticipant, inputs: readonly ParticipantInput[], ...rest: [number, Parameters<StepParticipant>[3]]): ParticipantStep {
  const round = (first.state as Stored).round;
  return inputs.reduce((step, input) => {
    if (step.state.phase !== 'stored' || step.state.round?.step !== round?.step) return step;
    const { state, ready } = correct(step.state, input, ...rest);
    return { state, ready: ready.run ? ready : { ...ready, records: [...step.ready.records, ...ready.records], messages: ready.messages, timers: [...step.ready.timers, ...ready.timers] } };
  }, first);
}

function acknowledgements({ spec: { txid, branches } }: CoordinatorState, { election }: Round): CoordinatorInput[] {
  return branches.map((_, from) => (
    { kind: 'MESSAGE', message: { protocol: '3pc', kind: 'PRE_ACK', txid, from, to: branches.length, election, state: 'pre-committed' } }
  ));
}

/** The step, and those that further inputs lead to while the coordinator is resolving. */
function then(first: CoordinatorStep, correct: StepCoordinator, inputs: readonly CoordinatorInput[], ...rest: [number, Parameters<StepCoordinator>[3]]): CoordinatorStep {
  return inputs.reduce((step, input) => {
    if (step.state.phase !== 'resolving') return step;
    const { state, ready } = correct(step.state, input, ...rest);
    return {
      state,
      ready: {
        records: [...step.ready.records, ...ready.records], messages: [...step.ready.messages, ...ready.messages], timers: [...step.ready.timers, ...ready.timers],
      },
    };
  }, first);
}

/** From a coordinator that is still voting, with the last vote to come. */
function continueVoting(correct: StepCoordinator, { spec, branches }: Extract<CoordinatorInput, { kind: 'RECOVER' }>, ...rest: [number, Parameters<StepCoordinator>[3]]): CoordinatorStep {
  const { txid } = spec;
  const site: SiteRow = { state: 'waiting', lastElected: { n: 1, site: branches.length }, lastAttempt: LOWEST, reason: null };
  const voting: CoordinatorState = {
    spec, phase: 'preparing', site, abortAsked: null, round: null, seen: 0, decidedAtMs: null, finishedAtMs: null,
    branches: branches.map((branch, i) => (i === 0 ? { ...branch, vote: null } : branch)),
  };
  return correct(voting, { kind: 'MESSAGE', message: { protocol: '3pc', kind: 'VOTE', txid, from: 0, to: branches.length, vote: 'yes' } }, ...rest);
}
