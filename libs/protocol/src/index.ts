export * from './txid.js';
export * from './messages.js';
export * from './machine.js';
export * from './two-phase-commit/types.js';
export * from './two-phase-commit/coordinator.js';
export * from './two-phase-commit/participant.js';
export { branchStatus, type BranchStatus } from './two-phase-commit/progress.js';
export { COORDINATOR_IGNORES, PARTICIPANT_IGNORES, type CoordinatorIgnore, type ParticipantIgnore } from './two-phase-commit/ignores.js';
