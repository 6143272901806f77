import { Controller, Inject, Post } from '@nestjs/common';
import { ApiBody, ApiHeader, ApiOperation, ApiResponse, ApiTags } from '@nestjs/swagger';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { ApiProblems, Direct, isObject, type Logger, LOGGER, validationProblem } from '#libs/service';
import { DOCUMENTED_LIMITS } from '../config.js';
import { documentedSchema } from '../submit/body-schemas.js';
import { Submission, type Submitted } from '../submit/submission.js';
import { BATCH_ANSWER_SCHEMA, BATCH_LINE_SCHEMA, TRANSACTION_SCHEMA } from './api-schemas.js';
import { inOrder, itemsOf, lineByLine, MAX_BATCH, refuseKeyOfBatch } from './batch.js';
import { idempotencyKeyOf, KEY_SCHEMA } from './idempotency-key.js';
import { LINES_MEDIA_TYPE, LineStream, wantsLines } from './line-stream.js';
import { waitMsOf } from './prefer.js';
import { transactionText } from './transaction-text.js';

type Schema = Record<string, unknown>;

const JSON_TYPE = 'application/json; charset=utf-8';

const BODY_SCHEMA = documentedSchema(DOCUMENTED_LIMITS);
const ITEM_SCHEMA = { oneOf: (BODY_SCHEMA['oneOf'] as readonly Schema[]).map((one) => ({ ...one, properties: { ...one['properties'] as Schema, idempotencyKey: KEY_SCHEMA } })) };
const PREFER = { name: 'Prefer', required: false, description: '`wait=<seconds>` (default 10, at most 60) or `respond-async`', schema: { type: 'string' } } as const;
const DESCRIPTION = `An aborted transaction, and a compensated saga, is an answer, not an error.
2pc, 3pc and paxos-commit take \`branches\`: all of them take effect, or none. A saga takes \`steps\`: each takes effect on its own, and is compensated if a later one fails for good. Defaults shown are those of a coordinator whose environment says nothing else.
Without \`waitFor\` the answer comes when the decision is durable, and for a saga when it has ended; 202 if that takes longer than \`Prefer\` waits.`;
const BATCH_DESCRIPTION = `Answers in the order asked; a refused transaction is answered by a problem document in its place (\`retryAfter\` in seconds where it can be sent again; nothing is known of one whose status is 500 or 504). Each may carry an \`idempotencyKey\`; the header \`Idempotency-Key\` is refused.
With \`Accept: ${LINES_MEDIA_TYPE}\` the status 200 comes at once, and one line of JSON for each transaction as soon as it has got as far as its \`waitFor\`, is refused, or its wait is over, in whatever order that happens. An item whose line is missing when the stream ends may have been taken: send it again with its key.`;
const REFUSALS = {
  400: 'The request is malformed', 413: 'The body is too large',
  422: 'Unknown participant or operation, an operation that is not for this use, a payload that breaks its schema, an invalid saga, or a reused idempotency key',
  429: 'Too many transactions in flight, in all or of one participant', 503: 'Cannot be taken now; nothing of it will ever take effect',
};

@ApiTags('transactions')
@Controller('v1')
export class SubmitController {
  constructor(@Inject(Submission) private readonly submission: Submission, @Inject(LOGGER) private readonly logger: Logger) {}

  @Post('transactions')
  @Direct('submit')
  @ApiOperation({ summary: 'Runs a transaction', description: DESCRIPTION })
  @ApiHeader({ name: 'Idempotency-Key', required: false, description: 'The same key with the same body is the same transaction', schema: KEY_SCHEMA })
  @ApiHeader(PREFER)
  @ApiBody({ schema: BODY_SCHEMA as never })
  @ApiResponse({ status: 200, description: 'It has got as far as was waited for', schema: TRANSACTION_SCHEMA })
  @ApiResponse({ status: 202, description: 'Begun; `Location` tells where to ask', schema: TRANSACTION_SCHEMA })
  @ApiProblems({ ...REFUSALS, 504: 'It has begun, and how it stands cannot be read now' })
  async submit(request: FastifyRequest, reply: FastifyReply): Promise<void> {
    const { headers, body } = request;
    const { view, reached } = await this.submission.submit(body, { bytes: bytesOf(request), idempotencyKey: idempotencyKeyOf(headers['idempotency-key'], 'Idempotency-Key'), waitMs: waitMsOf(headers.prefer) });
    if (reached) void reply.status(200);
    else void reply.status(202).header('location', `/v1/transactions/${view.txid}`);
    void reply.type(JSON_TYPE).send(transactionText(view));
  }

  @Post('transactions::batch')
  @Direct('submit')
  @ApiOperation({ summary: 'Runs up to 1,000 transactions, each by itself', description: BATCH_DESCRIPTION })
  @ApiHeader(PREFER)
  @ApiBody({ schema: { type: 'object', required: ['transactions'], properties: { transactions: { type: 'array', minItems: 1, maxItems: MAX_BATCH, items: ITEM_SCHEMA } } } as never })
  @ApiResponse({ status: 200, description: 'One answer for each', content: { 'application/json': { schema: BATCH_ANSWER_SCHEMA }, [LINES_MEDIA_TYPE]: { schema: BATCH_LINE_SCHEMA } } })
  @ApiProblems(REFUSALS)
  async batch(request: FastifyRequest, reply: FastifyReply): Promise<void> {
    const { headers, body } = request;
    refuseKeyOfBatch(headers['idempotency-key']);
    const items = itemsOf(body);
    this.submission.mustAccept();
    const waitMs = waitMsOf(headers.prefer);
    const bytes = bytesOf(request);
    const answers = items.map((item) => this.submitItem(item, bytes, waitMs));
    if (!wantsLines(headers.accept)) return void reply.status(200).type(JSON_TYPE).send(`{"transactions":${await inOrder(answers, this.logger)}}`);
    reply.hijack();
    await lineByLine(answers, new LineStream(reply.raw), this.logger);
  }

  /** Not async: one promise more of each item is a thousand more of a batch. */
  private submitItem(item: unknown, bytes: number, waitMs: number): Promise<Submitted> {
    try {
      if (!isObject(item)) throw validationProblem([{ path: '', message: 'must be a JSON object' }], 'transaction');
      const { idempotencyKey, ...body } = item;
      return this.submission.submit(body, { bytes, idempotencyKey: idempotencyKeyOf(idempotencyKey, 'idempotencyKey'), waitMs });
    } catch (error) {
      return Promise.reject(error as Error);
    }
  }
}

/** Without Content-Length (chunked) the length is not known: large enough to be looked at closely. */
function bytesOf(request: FastifyRequest): number {
  return Number(request.headers['content-length'] ?? Number.MAX_SAFE_INTEGER);
}
