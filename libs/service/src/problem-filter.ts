import { Catch, HttpException, NotFoundException, type ArgumentsHost, type ExceptionFilter } from '@nestjs/common';
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { Logger } from 'pino';
import { UnavailableError } from '#libs/runtime';
import { PROBLEM_MEDIA_TYPE, ProblemException, unavailableProblem } from './problem.js';
import type { RouteTable } from './route-table.js';

/** Turns an application's own errors into problems; null leaves the error to the filter. */
export type ErrorMapper = (error: unknown) => ProblemException | null;

/** Whatever is thrown leaves as a problem document; the unexpected is logged and tells nothing of itself. */
@Catch()
export class ProblemFilter implements ExceptionFilter {
  constructor(private readonly logger: Logger, private readonly routes: RouteTable, private readonly mapError: ErrorMapper = () => null) {}

  catch(error: unknown, host: ArgumentsHost): void {
    const http = host.switchToHttp();
    this.answer(error, http.getRequest<FastifyRequest>(), http.getResponse<FastifyReply>());
  }

  answer(error: unknown, request: FastifyRequest, reply: FastifyReply): void {
    const problem = this.problemFor(error, request);
    if (reply.sent || reply.raw.headersSent) return;
    void reply.status(problem.getStatus()).headers(problem.headers).type(PROBLEM_MEDIA_TYPE).send(Buffer.from(JSON.stringify(problem.problem)));
  }

  private problemFor(error: unknown, request: FastifyRequest): ProblemException {
    if (error instanceof ProblemException) return error;
    const mapped = this.mapError(error);
    if (mapped !== null) return mapped;
    if (error instanceof UnavailableError) return unavailableProblem(error);
    if (error instanceof NotFoundException) return this.noRoute(request);
    if (error instanceof HttpException && error.getStatus() < 500) return new ProblemException(error.getStatus(), codeOf(error.getStatus()), error.message);
    this.logger.error({ err: error, method: request.method, route: request.routeOptions?.url }, 'unexpected error');
    return new ProblemException(500, 'INTERNAL', 'An unexpected error occurred; it has been logged.', [], undefined, { cause: error });
  }

  /** Our own 404s are ProblemExceptions: a bare NotFoundException is the router's. */
  private noRoute(request: FastifyRequest): ProblemException {
    const path = request.url.split('?', 1)[0]!;
    const allowed = this.routes.methodsOf(path);
    if (allowed.length === 0) return new ProblemException(404, 'NOT_FOUND', `There is nothing at ${path}.`);
    return new ProblemException(405, 'METHOD_NOT_ALLOWED', `${path} takes ${allowed.join(', ')}, not ${request.method}.`, [], undefined, { headers: { allow: allowed.join(', ') } });
  }
}

function codeOf(status: number): string {
  const codes: Readonly<Record<number, string>> = { 400: 'BAD_REQUEST', 401: 'UNAUTHENTICATED', 403: 'FORBIDDEN', 404: 'NOT_FOUND', 408: 'REQUEST_TIMEOUT', 409: 'CONFLICT', 413: 'BODY_TOO_LARGE', 415: 'UNSUPPORTED_MEDIA_TYPE' };
  return codes[status] ?? `HTTP_${status}`;
}
