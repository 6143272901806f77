import { hostname } from 'node:os';
import { pino, type Logger } from 'pino';
import type { LoggerService } from '@nestjs/common';
import { envEnum, envText, type Env } from './env.js';

export type { Logger } from 'pino';

/** Injection token of the application's pino logger. */
export const LOGGER = Symbol('LOGGER');

const LEVELS = ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'] as const;
const SECRET_KEYS = ['authorization', 'token', 'tokens', 'password', 'secret', 'databaseUrl', 'connectionString'];
const SECRET_PATHS = ['headers.authorization', 'req.headers.authorization', ...SECRET_KEYS.flatMap((key) => [key, `*.${key}`])];

/** Name of this process among the instances of its service; INSTANCE_ID, default `<hostname>-<pid>`. */
export function instanceId(env: Env): string {
  return envText(env, 'INSTANCE_ID', { default: `${hostname()}-${process.pid}`.slice(0, 100), pattern: /^[\w.:-]{1,100}$/, takes: '1 to 100 letters, digits, or any of _ . : -' });
}

/** JSON lines on stdout, level from LOG_LEVEL (default info), secrets censored. Writes synchronously: nothing is lost on exit. */
export function createLogger(name: string, env: Env): Logger {
  return pino({
    name,
    level: envEnum(env, 'LOG_LEVEL', LEVELS, 'info'),
    base: { pid: process.pid, instance: instanceId(env) },
    timestamp: pino.stdTimeFunctions.isoTime,
    formatters: { level: (label) => ({ level: label }) },
    redact: { paths: SECRET_PATHS, censor: '[redacted]' },
  });
}

/**
 * Nest's own messages through pino. Not nestjs-pino: that one has a single root logger per process, which would give all
 * applications of the single-process mode one name, and its middleware costs every request.
 */
export class NestLogger implements LoggerService {
  constructor(private readonly logger: Logger) {}

  verbose(message: unknown, ...rest: unknown[]): void { this.write('trace', message, rest); }
  debug(message: unknown, ...rest: unknown[]): void { this.write('debug', message, rest); }
  /** Nest tells about each of its routes and modules: debug for us. */
  log(message: unknown, ...rest: unknown[]): void { this.write('debug', message, rest); }
  warn(message: unknown, ...rest: unknown[]): void { this.write('warn', message, rest); }
  error(message: unknown, ...rest: unknown[]): void { this.write('error', message, rest); }
  fatal(message: unknown, ...rest: unknown[]): void { this.write('fatal', message, rest); }

  /** Nest passes the context last, and for errors the stack before it. */
  private write(level: 'trace' | 'debug' | 'warn' | 'error' | 'fatal', message: unknown, rest: readonly unknown[]): void {
    const context = rest.length > 0 ? rest[rest.length - 1] : undefined;
    const stack = rest.length > 1 ? rest[0] : undefined;
    if (message instanceof Error) this.logger[level]({ context, err: message }, message.message);
    else if (typeof message === 'object' && message !== null) this.logger[level]({ context, ...message });
    else this.logger[level]({ context, ...(stack === undefined ? {} : { stack }) }, String(message));
  }
}
