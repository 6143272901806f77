/** The shape of a pino logger. Context first, then a sentence. */
export interface TransportLogger {
  debug(context: object, message: string): void;
  info(context: object, message: string): void;
  warn(context: object, message: string): void;
  error(context: object, message: string): void;
}

const ignore = (): void => {};

export const silentLogger: TransportLogger = { debug: ignore, info: ignore, warn: ignore, error: ignore };
