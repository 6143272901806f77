import type { Logger } from 'pino';
import { isConfigError } from './config-error.js';
import { createLogger } from './logger.js';
import type { RunningApp, StartApp } from './running-app.js';

/** A graceful stop that takes longer is cut off. */
const STOP_LIMIT_MS = 10_000;
const SIGNALS = { SIGINT: 130, SIGTERM: 143 } as const;

/**
 * Runs one application as this process's main program. Exit codes: 0 after SIGTERM or SIGINT and a clean stop; 1 after a fault
 * or a stop that exceeded 10 s; 2 for invalid configuration (one line on stderr); 130 or 143 on a second signal.
 */
export function runMain(name: string, start: StartApp): void {
  const logger = refuseBadConfig(name, () => createLogger(name, process.env));
  process.on('uncaughtException', (error) => fatal(logger, error, 'uncaught exception'));
  process.on('unhandledRejection', (error) => fatal(logger, error, 'unhandled rejection'));
  const started = start(process.env);
  started.catch((error: unknown) => refuseStart(name, logger, error));
  stopOnSignal(logger, started);
}

function stopOnSignal(logger: Logger, started: Promise<RunningApp>): void {
  let stopping = false;
  const onSignal = (signal: keyof typeof SIGNALS): void => {
    if (stopping) process.exit(SIGNALS[signal]);
    stopping = true;
    logger.info({ signal }, 'stopping');
    setTimeout(() => fatal(logger, new Error(`not stopped after ${STOP_LIMIT_MS} ms`), 'stop took too long'), STOP_LIMIT_MS).unref();
    started.then((app) => app.close()).then(() => { logger.info('stopped'); process.exit(0); }, (error: unknown) => fatal(logger, error, 'stop failed'));
  };
  process.on('SIGTERM', onSignal);
  process.on('SIGINT', onSignal);
}

/** There is no state worth saving in a process that no longer knows what it does: recovery starts from the database. */
function fatal(logger: Logger, error: unknown, what: string): never {
  logger.fatal({ err: error }, what);
  process.exit(1);
}

function refuseStart(name: string, logger: Logger, error: unknown): never {
  if (isConfigError(error)) sayInvalid(name, error);
  return fatal(logger, error, 'start failed');
}

function refuseBadConfig<T>(name: string, read: () => T): T {
  try {
    return read();
  } catch (error) {
    if (isConfigError(error)) return sayInvalid(name, error);
    throw error;
  }
}

function sayInvalid(name: string, error: Error): never {
  process.stderr.write(`${name}: ${error.message.replace(/\s*\n\s*/g, ' ')}\n`);
  process.exit(2);
}
