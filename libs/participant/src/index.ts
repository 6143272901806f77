export type { BatchExecute, BatchFinish, BatchPrepare, BranchCall, ItemExecute, ItemFinish, ItemPrepare } from './call.js';
export {
  Abort, AbortMany, Commit, CommitMany, Compensate, CompensateMany, Execute, ExecuteMany, LockMany, type OperationOptions, Participant, Prepare, PrepareMany,
} from './decorators.js';
export { defineParticipant, type ParticipantDefinition } from './definition.js';
export { type DefinitionProblem, ParticipantDefinitionError } from './errors.js';
export { ParticipantHandlerRunner, type RunnerObserver, type RunnerOptions } from './handler-runner.js';
export type { ParticipantModuleOptions } from './options.js';
export { acceptorApp, type AcceptorAppOptions, participantApp, type ParticipantAppOptions } from './participant-app.js';
export { ParticipantHost } from './participant-host.js';
export { ParticipantModule } from './participant.module.js';
export { type StepResult, vote, type VoteResult } from './vote.js';
