export type DefinitionProblem =
  | 'NO_HANDLERS'
  | 'MISSING_HANDLER'
  | 'DUPLICATE_HANDLER'
  | 'INVALID_SCHEMA'
  | 'DIFFERENT_SCHEMAS'
  | 'INVALID_OPERATION'
  | 'UNKNOWN_PARTICIPANT';

/** The participant's classes do not make a participant: the start is refused. The message is one line and says what to change. */
export class ParticipantDefinitionError extends Error {
  readonly code = 'INVALID_PARTICIPANT';

  constructor(readonly problem: DefinitionProblem, message: string) {
    super(message.replace(/\s*\n\s*/g, ' '));
    this.name = 'ParticipantDefinitionError';
  }
}
