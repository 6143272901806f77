import { type DynamicModule, Global, Module, type Type } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { FastifyAdapter, type NestFastifyApplication } from '@nestjs/platform-fastify';
import type { FastifyInstance, FastifyReply } from 'fastify';
import net, { type Socket } from 'node:net';
import type { Logger } from 'pino';
import { AuthGuard } from './auth.guard.js';
import { Authenticator, type AuthOptions } from './authenticator.js';
import { ConfigError } from './config-error.js';
import { serveDirectly } from './direct.js';
import { HealthModule } from './health.js';
import { LOGGER, NestLogger } from './logger.js';
import { AUTHENTICATOR, MetricsModule } from './metrics.js';
import { problemOf, PROBLEM_MEDIA_TYPE, ProblemException } from './problem.js';
import { type ErrorMapper, ProblemFilter } from './problem-filter.js';
import { RouteTable } from './route-table.js';
import { ProblemValidationPipe } from './validation.js';

export interface HttpAppOptions {
  readonly name: string;
  /** Larger bodies are refused with 413. Default 1 MiB. */
  readonly bodyLimitBytes?: number;
  /** Other limits, by route as the router spells it (`/v1/things::batch`). */
  readonly routeBodyLimits?: Readonly<Record<string, number>>;
  /** `public`: every route is open (but /metrics only from this machine). */
  readonly auth: AuthOptions | 'public';
  readonly logger: Logger;
  /** Tells how errors of the application's own kind are to be answered. */
  readonly mapError?: ErrorMapper;
}

const MIB = 1024 * 1024;
/** How often a closing server looks for connections that have become idle. */
const SWEEP_MS = 20;

@Global()
@Module({})
class HttpAppModule {
  static forRoot(root: Type | DynamicModule, logger: Logger, authenticator: Authenticator | null): DynamicModule {
    return {
      module: HttpAppModule,
      imports: [HealthModule, MetricsModule, root],
      providers: [{ provide: LOGGER, useValue: logger }, { provide: AUTHENTICATOR, useValue: authenticator }],
      exports: [LOGGER, AUTHENTICATOR],
    };
  }
}

/** Fastify's own errors keep their status and get a stable code. */
class ProblemFastifyAdapter extends FastifyAdapter {
  /** Node closes the connections that are idle now; those whose last answer is still to come would stay for a minute. */
  override async close(): Promise<void> {
    const sweep = setInterval(() => this.getHttpServer().closeIdleConnections(), SWEEP_MS);
    try {
      await super.close();
    } finally {
      clearInterval(sweep);
    }
  }

  override mapException(error: Error & { readonly code?: string; readonly statusCode?: number }): unknown {
    return edgeProblem(error) ?? super.mapException(error as never);
  }
}

/**
 * The application behind `rootModule` with problem documents, authentication, validation, health and metrics; not yet listening.
 * Injectable everywhere: LOGGER, AUTHENTICATOR, HealthRegistry, Registry (metrics).
 */
export async function createHttpApp(rootModule: Type | DynamicModule, options: HttpAppOptions): Promise<NestFastifyApplication> {
  const authenticator = options.auth === 'public' ? null : new Authenticator(options.auth);
  const adapter = createAdapter(options.bodyLimitBytes ?? MIB);
  const routes = new RouteTable();
  const guard = authenticator === null ? null : new AuthGuard(authenticator);
  const filter = new ProblemFilter(options.logger, routes, options.mapError);
  adapter.getInstance().addHook('onRoute', (route) => {
    routes.add(route);
    const limit = options.routeBodyLimits?.[route.url];
    if (limit !== undefined) route.bodyLimit = limit;
    serveDirectly(route, { app: () => app, guard, filter });
  });
  const app: NestFastifyApplication = await NestFactory.create<NestFastifyApplication>(HttpAppModule.forRoot(rootModule, options.logger, authenticator), adapter, {
    logger: new NestLogger(options.logger), abortOnError: false, bodyParser: false, forceCloseConnections: false,
  });
  app.useGlobalFilters(filter);
  app.useGlobalPipes(new ProblemValidationPipe());
  if (guard !== null) app.useGlobalGuards(guard);
  return app;
}

function createAdapter(bodyLimit: number): FastifyAdapter {
  const adapter = new ProblemFastifyAdapter({
    bodyLimit,
    logger: false,
    // No Nest middleware is used: without its emulation a request saves two callbacks.
    skipMiddie: true,
    // While closing, the application itself says so, with a problem document.
    return503OnClosing: false,
    routerOptions: { maxParamLength: 256 },
    frameworkErrors: (error: Error & { code?: string; statusCode?: number }, _request: unknown, reply: unknown) => sendEdgeProblem(reply as FastifyReply, error),
    clientErrorHandler: refuseUnparsable,
  } as never);
  const instance = adapter.getInstance() as unknown as FastifyInstance;
  instance.removeAllContentTypeParsers();
  // `__proto__` and `constructor.prototype` keys are refused, as Fastify does by default.
  instance.addContentTypeParser('application/json', { parseAs: 'string' }, instance.getDefaultJsonParser('error', 'error'));
  return adapter;
}

const EDGE_CODES: Readonly<Record<number, string>> = { 413: 'BODY_TOO_LARGE', 415: 'UNSUPPORTED_MEDIA_TYPE' };

/** What Fastify refuses before a handler sees it: malformed JSON, another media type, a body over the limit, a malformed URL. */
function edgeProblem(error: Error & { readonly code?: string; readonly statusCode?: number }): ProblemException | null {
  const status = error.statusCode;
  if (status === undefined || status < 400 || status >= 500) return null;
  if (status === 400 && (error instanceof SyntaxError || error.code === 'FST_ERR_CTP_EMPTY_JSON_BODY' || error.code === 'FST_ERR_CTP_INVALID_JSON_BODY')) {
    return new ProblemException(400, 'MALFORMED_JSON', `The body is not valid JSON: ${error.message}`);
  }
  if (status === 415) return new ProblemException(415, 'UNSUPPORTED_MEDIA_TYPE', 'The body must be sent as application/json.', [], undefined, { headers: { accept: 'application/json' } });
  return new ProblemException(status, EDGE_CODES[status] ?? 'BAD_REQUEST', error.message);
}

function sendEdgeProblem(reply: FastifyReply, error: Error & { readonly code?: string; readonly statusCode?: number }): void {
  const { problem, headers } = edgeProblem(error) ?? new ProblemException(400, 'BAD_REQUEST', error.message);
  void reply.status(problem.status).headers(headers).type(PROBLEM_MEDIA_TYPE).send(Buffer.from(JSON.stringify(problem)));
}

/** Bytes that are no HTTP request: there is no reply object yet. */
function refuseUnparsable(error: Error & { code?: string }, socket: Socket): void {
  if (error.code === 'ECONNRESET' || socket.destroyed || !socket.writable) return void socket.destroy();
  const [status, code] = error.code === 'HPE_HEADER_OVERFLOW' ? [431, 'HEADERS_TOO_LARGE'] as const : error.code === 'ERR_HTTP_REQUEST_TIMEOUT' ? [408, 'REQUEST_TIMEOUT'] as const : [400, 'BAD_REQUEST'] as const;
  const body = JSON.stringify(problemOf(status, code, 'The request is not valid HTTP.'));
  socket.end(`HTTP/1.1 ${status} Error\r\nContent-Type: ${PROBLEM_MEDIA_TYPE}\r\nContent-Length: ${Buffer.byteLength(body)}\r\nConnection: close\r\n\r\n${body}`);
}

interface ListenAddress {
  readonly host: string;
  readonly port: number;
  /** Named in errors. */
  readonly portVariable: string;
}

/**
 * Finds out whether the address can be listened at, before anything is connected to or changed: a wrong setting is to be told at once.
 * @throws ConfigError when the address cannot be had, naming `portVariable` or HOST
 */
export async function checkAddress(at: ListenAddress): Promise<void> {
  const server = net.createServer();
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error) => reject(listenError(error, at)));
    server.listen(at.port, at.host, () => server.close(() => resolve()));
  });
}

/**
 * Starts listening and answers the URL.
 * @throws ConfigError when the address cannot be had, naming `portVariable` or HOST
 */
export async function listenHttp(app: NestFastifyApplication, at: ListenAddress): Promise<string> {
  try {
    await app.listen(at.port, at.host);
  } catch (error) {
    throw listenError(error as NodeJS.ErrnoException, at);
  }
  const address = app.getHttpServer().address();
  const port = typeof address === 'object' && address !== null ? address.port : at.port;
  const host = at.host === '0.0.0.0' || at.host === '::' ? '127.0.0.1' : at.host;
  return `http://${host.includes(':') ? `[${host}]` : host}:${port}`;
}

function listenError(error: NodeJS.ErrnoException, at: ListenAddress): Error {
  if (error.code === 'EADDRINUSE') return new ConfigError(`${at.portVariable} ${at.port} is in use on ${at.host}; set ${at.portVariable} to a free port, or stop what uses it`);
  if (error.code === 'EACCES') return new ConfigError(`${at.portVariable} ${at.port} may not be opened by this user; set ${at.portVariable} to a port above 1023`);
  if (error.code === 'EADDRNOTAVAIL' || error.code === 'ENOTFOUND') return new ConfigError(`HOST got "${at.host}"; it takes an address of this machine, such as 127.0.0.1 or 0.0.0.0`);
  return error;
}
