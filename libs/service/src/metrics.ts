import { Controller, Get, Global, Inject, Module, Req, Res } from '@nestjs/common';
import { ApiOkResponse, ApiOperation, ApiTags } from '@nestjs/swagger';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { collectDefaultMetrics, Registry } from 'prom-client';
import { authorize, Public } from './auth.guard.js';
import { type Authenticator, isLoopback } from './authenticator.js';

export { Counter, Gauge, Histogram, Registry } from 'prom-client';

/** Injection token of the Authenticator. */
export const AUTHENTICATOR = Symbol('AUTHENTICATOR');

/** How often the event loop's delay is looked at, which wakes up an idle process each time. A loop that stands still for longer is always noticed. */
const LOOP_DELAY_PRECISION_MS = 100;

/** Each application has a registry of its own: in the single-process mode five of them live side by side. */
function createRegistry(): Registry {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry, eventLoopMonitoringPrecision: LOOP_DELAY_PRECISION_MS });
  return registry;
}

@ApiTags('operations')
@Public()
@Controller('metrics')
export class MetricsController {
  constructor(@Inject(Registry) private readonly registry: Registry, @Inject(AUTHENTICATOR) private readonly authenticator: Authenticator | null) {}

  @Get()
  @ApiOperation({ summary: 'Prometheus metrics; free from the same machine, else with role read' })
  @ApiOkResponse({ content: { 'text/plain': { schema: { type: 'string' } } } })
  async read(@Req() request: FastifyRequest, @Res() reply: FastifyReply): Promise<void> {
    if (!isLocal(request)) authorize((await this.authenticator?.authenticate(request.headers.authorization)) ?? null, 'read', request.headers.authorization !== undefined);
    await reply.type(this.registry.contentType).send(await this.registry.metrics());
  }
}

/** A proxy on this machine makes every caller look local: what it forwards is not. */
function isLocal(request: FastifyRequest): boolean {
  const forwarded = request.headers['x-forwarded-for'] !== undefined || request.headers['forwarded'] !== undefined;
  return !forwarded && isLoopback(request.socket.remoteAddress ?? '');
}

/** GET /metrics. Global: inject `Registry` to register metrics. Needs AUTHENTICATOR, which `createHttpApp` provides. */
@Global()
@Module({ controllers: [MetricsController], providers: [{ provide: Registry, useFactory: createRegistry }], exports: [Registry] })
export class MetricsModule {}
