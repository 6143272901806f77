import { Controller, Get, Inject, Param } from '@nestjs/common';
import { ApiOkResponse, ApiOperation, ApiTags } from '@nestjs/swagger';
import { ApiProblems, type Problem, ProblemException, Role } from '#libs/service';
import type { StorefrontConfig } from './config.js';

/** Injection token of the StorefrontConfig. */
export const CONFIG = Symbol('CONFIG');

const ANSWER_LIMIT_MS = 5_000;

/** Reads go straight to the service that owns the data. */
@ApiTags('shop')
@Role('read')
@ApiProblems({ 404: 'No such thing', 503: 'The service is out of reach' })
@Controller()
export class ReadsController {
  constructor(@Inject(CONFIG) private readonly config: StorefrontConfig) {}

  @Get('orders/:id')
  @ApiOperation({ summary: 'An order and its status: pending, confirmed, rejected' })
  @ApiOkResponse()
  order(@Param('id') id: string): Promise<unknown> {
    return this.ask('orders', `/orders/${encodeURIComponent(id)}`);
  }

  @Get('customers/:id')
  @ApiOperation({ summary: 'A customer with balance and held amount, in cents' })
  @ApiOkResponse()
  customer(@Param('id') id: string): Promise<unknown> {
    return this.ask('payments', `/customers/${encodeURIComponent(id)}`);
  }

  @Get('inventory/:sku')
  @ApiOperation({ summary: 'Pieces available and reserved' })
  @ApiOkResponse()
  stock(@Param('sku') sku: string): Promise<unknown> {
    return this.ask('inventory', `/inventory/${encodeURIComponent(sku)}`);
  }

  private async ask(service: 'orders' | 'payments' | 'inventory', path: string): Promise<unknown> {
    const response = await fetch(this.config.services[service] + path, {
      headers: this.config.readToken === null ? {} : { authorization: `Bearer ${this.config.readToken}` },
      signal: AbortSignal.timeout(ANSWER_LIMIT_MS),
    }).catch((error: unknown) => { throw unreachable(service, error); });
    if (response.ok) return response.json();
    const problem = await response.json().catch(() => null) as Problem | null;
    if (response.status === 404 && problem !== null) throw new ProblemException(404, problem.code, problem.detail);
    throw unreachable(service, new Error(`${service} answered ${response.status} ${problem?.code ?? ''}`));
  }
}

function unreachable(service: string, cause: unknown): ProblemException {
  return new ProblemException(503, 'SERVICE_UNREACHABLE', `The ${service} service cannot answer now. Try again.`, [], 1000, { cause });
}
