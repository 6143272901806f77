/** A set-up that cannot go on: the message is one line for the person at the terminal and says what to do. */
export class SetupError extends Error {
  readonly code: SetupErrorCode;

  constructor(code: SetupErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'SetupError';
    this.code = code;
  }
}

export type SetupErrorCode =
  | 'DATA_DIR_IN_USE' | 'DATA_DIR_UNWRITABLE' | 'PORT_IN_USE' | 'INVALID_CONFIGURATION'
  | 'JAVA_MISSING' | 'MAVEN_MISSING' | 'KAFKA_DOWNLOAD_FAILED' | 'POSTGRES_BINARIES_MISSING' | 'NO_UNPRIVILEGED_ACCOUNT'
  | 'SERVER_FAILED' | 'BUILD_FAILED' | 'SERVICE_FAILED';

export function isSetupError(error: unknown): error is SetupError {
  return error instanceof Error && error.name === 'SetupError';
}
