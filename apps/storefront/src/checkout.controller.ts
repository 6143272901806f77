import { createHash, randomUUID } from 'node:crypto';
import { Body, Controller, Headers, HttpCode, Inject, Post, Res } from '@nestjs/common';
import { ApiHeader, ApiOkResponse, ApiOperation, ApiResponse, ApiTags } from '@nestjs/swagger';
import type { FastifyReply } from 'fastify';
import { type ConcordatClient, ConcordatError, type TransactionRequest } from '#libs/client';
import { ApiProblems, ProblemException, Role } from '#libs/service';
import { checkoutRequest } from '#libs/shop/checkout';
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
  @ApiOperation({ summary: 'Order, pay and reserve: all of it or none of it', description: 'By the protocol asked for; as a saga each part takes effect on its own and is undone if a later one is refused.' })
  @ApiHeader({ name: 'Idempotency-Key', required: false, description: 'Same key and body: the first answer again, no second order' })
  @ApiOkResponse({ description: 'Decided: `status` committed, or aborted with its `reason`. A saga has ended: completed, or compensated with its `reason`' })
  @ApiResponse({ status: 202, description: 'It takes longer than the storefront waits: `status` pending, or needs-attention; the same key and body ask again' })
  @ApiProblems({ 400: 'A field is not valid', 422: 'The coordinator knows no participant that can do this by the protocol asked for', 429: 'Too many at once', 503: 'The coordinator is out of reach' })
  async checkout(@Body() body: CheckoutDto, @Headers('idempotency-key') key: string | undefined, @Res({ passthrough: true }) reply: FastifyReply): Promise<Record<string, unknown>> {
    const orderId = body.orderId ?? orderIdFor(key);
    const result = await this.coordinator.run(checkoutTransaction(orderId, body), key === undefined ? {} : { idempotencyKey: key }).catch(refuse);
    if (result.outcome !== 'unknown') return { orderId, ...result.transaction };
    void reply.status(202);
    return { orderId, id: result.id, status: result.attention === null ? 'pending' : 'needs-attention', reason: null, attention: result.attention, idempotencyKey: result.idempotencyKey };
  }
}

/** The same key must give the same body, or the coordinator refuses the repetition. */
function orderIdFor(key: string | undefined): string {
  return key === undefined ? `o-${randomUUID()}` : `o-${createHash('sha256').update(key).digest('hex')}`.slice(0, 42);
}

function checkoutTransaction(orderId: string, { customerId, sku, quantity, amountCents, protocol }: CheckoutDto): TransactionRequest {
  return { ...checkoutRequest(protocol ?? '2pc', { orderId, customerId, sku, quantity, amountCents }), metadata: { source: 'storefront' } };
}

/** Not taken for certain: the coordinator's own words, except where they speak of the storefront rather than of its caller. */
function refuse(error: unknown): never {
  if (!(error instanceof ConcordatError)) throw error;
  if (error.status === 0) throw new ProblemException(503, error.code, 'The coordinator is out of reach; nothing was started. Try again.', [], 1000, { cause: error });
  if (error.status === 401 || error.status === 403) throw new ProblemException(503, 'STOREFRONT_NOT_AUTHORIZED', 'The coordinator does not accept the token of this storefront; see CONCORDAT_TOKENS_FILE and CONCORDAT_TOKEN.', [], 5000, { cause: error });
  throw new ProblemException(error.status, error.code, error.message, error.errors, error.retryAfterMs ?? undefined, { cause: error });
}
