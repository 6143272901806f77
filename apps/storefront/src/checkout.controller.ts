import { createHash, randomUUID } from 'node:crypto';
import { Body, Controller, Headers, HttpCode, Inject, Post, Res } from '@nestjs/common';
import { ApiHeader, ApiOkResponse, ApiOperation, ApiTags } from '@nestjs/swagger';
import type { FastifyReply } from 'fastify';
import { type ConcordatClient, ConcordatError, type TransactionRequest } from '#libs/client';
import { ApiProblems, ProblemException, Role } from '#libs/service';
import { CheckoutDto } from './checkout.dto.js';

/** Injection token of the client of the coordinator. */
export const COORDINATOR = Symbol('COORDINATOR');

@ApiTags('shop')
@Controller('checkout')
export class CheckoutController {
  constructor(@Inject(COORDINATOR) private readonly coordinator: ConcordatClient) {}

  @Post()
  @HttpCode(200)
  @Role('submit')
  @ApiOperation({ summary: 'Order, pay and reserve: all of it or none of it' })
  @ApiHeader({ name: 'Idempotency-Key', required: false, description: 'Same key and body: the first answer again, no second order' })
  @ApiOkResponse({ description: 'Decided: `status` committed, or aborted with its `reason`' })
  @ApiProblems({ 400: 'A field is not valid', 422: 'The protocol is not available', 429: 'Too many at once', 503: 'The coordinator is out of reach' })
  async checkout(@Body() body: CheckoutDto, @Headers('idempotency-key') key: string | undefined, @Res({ passthrough: true }) reply: FastifyReply): Promise<Record<string, unknown>> {
    const orderId = body.orderId ?? orderIdFor(key);
    const result = await this.coordinator.run(checkoutTransaction(orderId, body), key === undefined ? {} : { idempotencyKey: key }).catch(refuse);
    if (result.outcome !== 'unknown') return { orderId, ...result.transaction };
    void reply.status(202);
    return { orderId, id: result.id, status: 'pending', reason: null, idempotencyKey: result.idempotencyKey };
  }
}

/** The same key must give the same body, or the coordinator refuses the repetition. */
function orderIdFor(key: string | undefined): string {
  return key === undefined ? `o-${randomUUID()}` : `o-${createHash('sha256').update(key).digest('hex')}`.slice(0, 42);
}

function checkoutTransaction(orderId: string, { customerId, sku, quantity, amountCents, protocol }: CheckoutDto): TransactionRequest {
  return {
    protocol: protocol ?? '2pc',
    branches: [
      { participant: 'orders', operation: 'place', payload: { orderId, customerId, sku, quantity, amountCents } },
      { participant: 'payments', operation: 'debit', payload: { orderId, customerId, amountCents } },
      { participant: 'inventory', operation: 'reserve', payload: { orderId, sku, quantity } },
    ],
    metadata: { source: 'storefront' },
  };
}

/** Not taken for certain: the coordinator's own words, except where they speak of the storefront rather than of its caller. */
function refuse(error: unknown): never {
  if (!(error instanceof ConcordatError)) throw error;
  if (error.status === 0) throw new ProblemException(503, error.code, 'The coordinator is out of reach; nothing was started. Try again.', [], 1000, { cause: error });
  if (error.status === 401 || error.status === 403) throw new ProblemException(503, 'STOREFRONT_NOT_AUTHORIZED', 'The coordinator does not accept the token of this storefront; see CONCORDAT_TOKENS_FILE and CONCORDAT_TOKEN.', [], 5000, { cause: error });
  throw new ProblemException(error.status, error.code, error.message, error.errors, error.retryAfterMs ?? undefined, { cause: error });
}
