/**
 * Invalid configuration. The message is one line: the variable, what it got, what it takes. `runMain` prints it and exits with 2.
 */
export class ConfigError extends Error {
  readonly code = 'INVALID_CONFIGURATION';

  constructor(message: string) {
    super(message.replace(/\s*\n\s*/g, ' '));
    this.name = 'ConfigError';
  }

  /** @param got shown in quotes; null for a secret (not shown), undefined for a variable that is not set */
  static of(variable: string, got: string | null | undefined, takes: string): ConfigError {
    const seen = got === null ? 'got a value that is not shown' : got === undefined ? 'is not set' : `got ${JSON.stringify(got.slice(0, 100))}`;
    return new ConfigError(`${variable} ${seen}; it takes ${takes}`);
  }
}

/** True also for errors of other libs that only carry the code. */
export function isConfigError(error: unknown): error is Error {
  return error instanceof Error && (error as { code?: unknown }).code === 'INVALID_CONFIGURATION';
}
