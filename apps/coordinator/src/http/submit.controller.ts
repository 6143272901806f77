import { Body, Controller, HttpCode, Inject, Post, Req, Res } from '@nestjs/common';
import { ApiBody, ApiHeader, ApiOperation, ApiResponse, ApiTags } from '@nestjs/swagger';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { UnavailableError } from '#libs/runtime';
import { ApiProblems, isObject, type Logger, LOGGER, ProblemException, Role, unavailableProblem, validationProblem } from '#libs/service';
import { OUTCOME_UNKNOWN, Submission, type Submitted } from '../submit/submission.js';
import { transactionSchema } from '../submit/transaction-body.js';
import { BATCH_ANSWER_SCHEMA, BATCH_LINE_SCHEMA, TRANSACTION_SCHEMA } from './api-schemas.js';
import { idempotencyKeyOf, KEY_SCHEMA } from './idempotency-key.js';
import { LINES_MEDIA_TYPE, LineStream, wantsLines } from './line-stream.js';
import { mapError } from './map-error.js';
import { waitMsOf } from './prefer.js';
import { transactionJson } from './transaction-json.js';

const MAX_BATCH = 1_000;
const BODY_SCHEMA = transactionSchema(3_600_000);
const PREFER = { name: 'Prefer', required: false, description: '`wait=<seconds>` (default 10, at most 60) or `respond-async`', schema: { type: 'string' } } as const;
const BATCH_DESCRIPTION = `Answers in the order asked; a refused transaction is answered by a problem document in its place. Each may carry an \`idempotencyKey\`.
With \`Accept: ${LINES_MEDIA_TYPE}\` the status 200 comes at once, and one line of JSON for each transaction as soon as it is decided, refused, or its wait is over, in whatever order that happens. An item whose line is missing when the stream ends may have been taken: send it again with its key.`;
const REFUSALS = { 400: 'The request is malformed', 413: 'The body is too large', 422: 'Unknown participant, operation or protocol, a payload that breaks its schema, or a reused idempotency key', 429: 'Too many transactions in flight', 503: 'Cannot be taken now', 504: 'It has begun, and how it stands cannot be read now' };

@ApiTags('transactions')
@Controller('v1')
export class SubmitController {
  constructor(@Inject(Submission) private readonly submission: Submission, @Inject(LOGGER) private readonly logger: Logger) {}

  @Post('transactions')
  @Role('submit')
  @ApiOperation({ summary: 'Runs a transaction', description: 'An aborted transaction is an answer, not an error.' })
  @ApiHeader({ name: 'Idempotency-Key', required: false, description: 'The same key with the same body is the same transaction', schema: KEY_SCHEMA })
  @ApiHeader(PREFER)
  @ApiBody({ schema: BODY_SCHEMA as never })
  @ApiResponse({ status: 200, description: 'Decided (or finished, if that was waited for)', schema: TRANSACTION_SCHEMA })
  @ApiResponse({ status: 202, description: 'Begun; `Location` tells where to ask', schema: TRANSACTION_SCHEMA })
  @ApiProblems(REFUSALS)
  async submit(@Body() body: unknown, @Req() request: FastifyRequest, @Res({ passthrough: true }) reply: FastifyReply): Promise<Record<string, unknown>> {
    const { headers } = request;
    const { view, reached } = await this.submission.submit(body, { bytes: bytesOf(request), idempotencyKey: idempotencyKeyOf(headers['idempotency-key'], 'Idempotency-Key'), waitMs: waitMsOf(headers.prefer) });
    if (reached) void reply.status(200);
    else void reply.status(202).header('location', `/v1/transactions/${view.txid}`);
    return transactionJson(view);
  }

  @Post('transactions::batch')
  @Role('submit')
  @HttpCode(200)
  @ApiOperation({ summary: 'Runs up to 1,000 transactions, each by itself', description: BATCH_DESCRIPTION })
  @ApiHeader(PREFER)
  @ApiBody({ schema: { type: 'object', required: ['transactions'], properties: { transactions: { type: 'array', minItems: 1, maxItems: MAX_BATCH, items: { ...BODY_SCHEMA, properties: { ...(BODY_SCHEMA['properties'] as object), idempotencyKey: KEY_SCHEMA } } } } } as never })
  @ApiResponse({ status: 200, description: 'One answer for each', content: { 'application/json': { schema: BATCH_ANSWER_SCHEMA }, [LINES_MEDIA_TYPE]: { schema: BATCH_LINE_SCHEMA } } })
  @ApiProblems(REFUSALS)
  async batch(@Body() body: unknown, @Req() request: FastifyRequest, @Res() reply: FastifyReply): Promise<void> {
    const items = itemsOf(body);
    this.submission.mustAccept();
    const waitMs = waitMsOf(request.headers.prefer);
    const bytes = bytesOf(request);
    const answers = items.map((item) => this.submitItem(item, bytes, waitMs));
    if (!wantsLines(request.headers.accept)) return void reply.status(200).send({ transactions: await inOrder(answers) });
    reply.hijack();
    await this.lineByLine(answers, new LineStream(reply.raw));
  }

  private async submitItem(item: unknown, bytes: number, waitMs: number): Promise<Submitted> {
    if (!isObject(item)) throw validationProblem([{ path: '', message: 'must be a JSON object' }], 'transaction');
    const { idempotencyKey, ...body } = item;
    return this.submission.submit(body, { bytes, idempotencyKey: idempotencyKeyOf(idempotencyKey, 'idempotencyKey'), waitMs });
  }

  private async lineByLine(answers: readonly Promise<Submitted>[], lines: LineStream): Promise<void> {
    await Promise.all(answers.map((answer, index) => answer.then(
      ({ view }) => lines.write({ index, transaction: transactionJson(view) }),
      (error: unknown) => lines.write({ index, problem: this.lineProblem(error) }),
    )));
    lines.end();
  }

  /** The status of the whole answer has been sent: whatever befalls an item must be told in its line. */
  private lineProblem(error: unknown): unknown {
    const known = error instanceof UnavailableError ? unavailableProblem(error) : error instanceof ProblemException ? error : mapError(error);
    if (known === null) this.logger.error({ err: error }, 'unexpected error in an item of a batch');
    const { problem, headers } = known ?? new ProblemException(500, 'INTERNAL', 'An unexpected error occurred; it has been logged.');
    return headers['retry-after'] === undefined ? problem : { ...problem, retryAfter: Number(headers['retry-after']) };
  }
}

async function inOrder(submitted: readonly Promise<Submitted>[]): Promise<readonly unknown[]> {
  const answers = await Promise.allSettled(submitted);
  const failed = answers.find((answer) => answer.status === 'rejected');
  // If none was taken for a reason that passes, the whole batch can be sent again.
  if (failed?.reason instanceof UnavailableError && answers.every((answer) => answer.status === 'rejected' && answer.reason instanceof UnavailableError)) throw failed.reason;
  return answers.map((answer) => (answer.status === 'fulfilled' ? transactionJson(answer.value.view) : problemOf(answer.reason)));
}

function itemsOf(body: unknown): readonly unknown[] {
  if (!isObject(body)) throw validationProblem([{ path: '', message: 'must be a JSON object' }], 'body');
  const extra = Object.keys(body).filter((key) => key !== 'transactions');
  if (extra.length > 0) throw validationProblem(extra.slice(0, 50).map((path) => ({ path, message: 'is not a known field' })));
  const { transactions } = body;
  if (!Array.isArray(transactions) || transactions.length === 0 || transactions.length > MAX_BATCH) {
    throw validationProblem([{ path: 'transactions', message: `must be a list of 1 to ${MAX_BATCH} transactions${Array.isArray(transactions) ? `, not ${transactions.length}` : ''}` }]);
  }
  return transactions;
}

function problemOf(error: unknown): unknown {
  if (error instanceof UnavailableError) return unavailableProblem(error).problem;
  // In its place it would read like a refusal; thrown, it tells the caller to conclude nothing.
  if (!(error instanceof ProblemException) || error.code === OUTCOME_UNKNOWN) throw error;
  return error.problem;
}

/** Without Content-Length (chunked) the length is not known: large enough to be looked at closely. */
function bytesOf(request: FastifyRequest): number {
  return Number(request.headers['content-length'] ?? Number.MAX_SAFE_INTEGER);
}
