import { Controller, Get, Inject, Param, Query } from '@nestjs/common';
import { ApiOkResponse, ApiOperation, ApiParam, ApiTags } from '@nestjs/swagger';
import { isTxid, type Txid } from '#libs/protocol';
import { TransactionReader } from '#libs/postgres';
import { ApiProblems, ProblemException, Role } from '#libs/service';
import { defaultUntil, hasReached } from '../reads/progress.js';
import { TransactionLookup } from '../reads/transaction-lookup.js';
import { TIMELINE_SCHEMA, TRANSACTION_PAGE_SCHEMA, TRANSACTION_SCHEMA } from './api-schemas.js';
import { MAX_WAIT_MS } from './prefer.js';
import { ListQuery, WaitQuery } from './requests.js';
import { timeOf } from './times.js';
import { timelineJson, transactionJson } from './transaction-json.js';

const DEFAULT_LIMIT = 50;
const ID = { name: 'id', description: 'Transaction id', schema: { type: 'string', format: 'uuid' } } as const;

@ApiTags('transactions')
@Role('read')
@Controller('v1/transactions')
export class ReadController {
  constructor(@Inject(TransactionLookup) private readonly lookup: TransactionLookup, @Inject(TransactionReader) private readonly reader: TransactionReader) {}

  @Get()
  @ApiOperation({ summary: 'Lists transactions, the latest first' })
  @ApiOkResponse({ schema: TRANSACTION_PAGE_SCHEMA })
  @ApiProblems({ 400: 'A filter is not valid' })
  async list(@Query() query: ListQuery): Promise<unknown> {
    const { since, until, limit, ...filter } = query;
    const { items, nextCursor } = await this.reader.list({ ...filter, sinceMs: timeOf(since, 'since'), untilMs: timeOf(until, 'until'), limit: limit ?? DEFAULT_LIMIT });
    return { items: items.map(transactionJson), nextCursor };
  }

  @Get(':id')
  @ApiOperation({ summary: 'Shows a transaction, waiting for its decision or its end if asked to' })
  @ApiParam(ID)
  @ApiOkResponse({ schema: TRANSACTION_SCHEMA })
  @ApiProblems({ 404: 'There is no such transaction' })
  async show(@Param('id') id: string, @Query() query: WaitQuery): Promise<unknown> {
    const txid = txidOf(id);
    const deadlineMs = performance.now() + Math.min((query.wait ?? 0) * 1000, MAX_WAIT_MS);
    const found = (await this.lookup.find(txid)) ?? unknown(id);
    const until = query.waitFor ?? defaultUntil(found.protocol);
    const waitMs = Math.max(0, deadlineMs - performance.now());
    const view = waitMs === 0 || hasReached(found, until) ? found : await this.lookup.wait(txid, until, waitMs);
    return transactionJson(view ?? found);
  }

  @Get(':id/timeline')
  @ApiOperation({ summary: 'Every record and message of a transaction' })
  @ApiParam(ID)
  @ApiOkResponse({ schema: TIMELINE_SCHEMA })
  @ApiProblems({ 404: 'There is no such transaction' })
  async timeline(@Param('id') id: string): Promise<unknown> {
    const events = await this.lookup.timeline(txidOf(id));
    return { events: (events ?? unknown(id)).map(timelineJson) };
  }
}

/** @throws ProblemException 404: what is no id names no transaction */
export function txidOf(id: string): Txid {
  return isTxid(id) ? id : unknown(id);
}

export function unknown(id: string): never {
  throw new ProblemException(404, 'UNKNOWN_TRANSACTION', `There is no transaction ${JSON.stringify(id.slice(0, 100))}.`);
}
