export * from './txid.js';
export * from './messages.js';
export * from './machine.js';
export * from './two-phase-commit/types.js';
export * from './two-phase-commit/coordinator.js';
export * from './two-phase-commit/participant.js';
export { branchStatus, type BranchStatus } from './two-phase-commit/progress.js';
export { COORDINATOR_IGNORES, PARTICIPANT_IGNORES, type CoordinatorIgnore, type ParticipantIgnore } from './two-phase-commit/ignores.js';
export * from './saga/types.js';
export * from './saga/messages.js';
export { checkSaga, MAX_SAGA_STEPS, type SagaProblem, type SagaProblemCode } from './saga/definition.js';
export * from './saga/coordinator.js';
export * from './saga/participant.js';
export {
  SAGA_COORDINATOR_IGNORES, SAGA_PARTICIPANT_IGNORES, type SagaCoordinatorIgnore, type SagaParticipantIgnore,
} from './saga/ignores.js';
export * from './paxos-commit/messages.js';
export { BALLOT_ZERO, compareBallots, majorityOf, sameBallot, type Ballot } from './paxos-commit/ballot.js';
export * from './paxos-commit/types.js';
export { restingLeader, stepPaxosLeader } from './paxos-commit/leader.js';
export { VOTE_NOT_FOUND } from './paxos-commit/leader-effects.js';
export { stepAcceptor } from './paxos-commit/acceptor.js';
export { stepPaxosParticipant } from './paxos-commit/participant.js';
export {
  ACCEPTOR_IGNORES, PAXOS_LEADER_IGNORES, PAXOS_PARTICIPANT_IGNORES, type AcceptorIgnore, type PaxosLeaderIgnore, type PaxosParticipantIgnore,
} from './paxos-commit/ignores.js';
export type {
  AttemptState, ThreePhaseMessage, ToCoordinator as ToThreePhaseCoordinator, ToParticipant as ToThreePhaseParticipant,
} from './three-phase-commit/messages.js';
export { compareElections, isFinal, type Election, type SiteRow, type SiteState } from './three-phase-commit/election.js';
export type { Round } from './three-phase-commit/resolver.js';
export {
  COORDINATOR_DEFAULTS as THREE_PHASE_COORDINATOR_DEFAULTS, RESOLVER_DEFAULTS as THREE_PHASE_RESOLVER_DEFAULTS,
  type BranchAction as ThreePhaseBranchAction, type BranchRow as ThreePhaseBranchRow, type CoordinatorConfig as ThreePhaseCoordinatorConfig,
  type CoordinatorInput as ThreePhaseCoordinatorInput, type CoordinatorPhase as ThreePhaseCoordinatorPhase, type CoordinatorRecord as ThreePhaseCoordinatorRecord,
  type CoordinatorState as ThreePhaseCoordinatorState, type CoordinatorStep as ThreePhaseCoordinatorStep, type CoordinatorTimer as ThreePhaseCoordinatorTimer,
  type ParticipantConfig as ThreePhaseParticipantConfig, type ParticipantInput as ThreePhaseParticipantInput, type ParticipantRecord as ThreePhaseParticipantRecord,
  type ParticipantState as ThreePhaseParticipantState, type ParticipantStep as ThreePhaseParticipantStep, type ParticipantTimer as ThreePhaseParticipantTimer,
} from './three-phase-commit/types.js';
export { stepCoordinator as stepThreePhaseCoordinator } from './three-phase-commit/coordinator.js';
export { stepParticipant as stepThreePhaseParticipant } from './three-phase-commit/participant.js';
export {
  COORDINATOR_IGNORES as THREE_PHASE_COORDINATOR_IGNORES, PARTICIPANT_IGNORES as THREE_PHASE_PARTICIPANT_IGNORES,
  type CoordinatorIgnore as ThreePhaseCoordinatorIgnore, type ParticipantIgnore as ThreePhaseParticipantIgnore,
} from './three-phase-commit/ignores.js';
