import { Body, Controller, Get, Inject, Param, Post, Query, Res } from '@nestjs/common';
import { ApiOperation, ApiParam, ApiResponse, ApiTags } from '@nestjs/swagger';
import type { FastifyReply } from 'fastify';
import { AuditLog } from '#libs/postgres';
import { ApiProblems, Caller, type Principal, Role } from '#libs/service';
import { Operator } from '../operate/operator.js';
import { AUDIT_SCHEMA, PARTICIPANT_SCHEMA, TRANSACTION_SCHEMA } from './api-schemas.js';
import { auditJson, participantJson } from './cluster-json.js';
import { txidOf } from './read.controller.js';
import { AuditQuery, ParticipantActionBody, TransactionActionBody } from './requests.js';
import { transactionJson } from './transaction-json.js';

const DEFAULT_LIMIT = 50;
const ACT_DESCRIPTION = `retry-now sends again what is outstanding, with its backoff from the beginning. cancel aborts (a saga: compensates) while undecided.
resolve ends the waiting for acknowledgements once decided; undecided it aborts, but a saga has to be cancelled instead.
skip-step, of a saga: a retriable step counts as done, or a compensation as through, from here on; only after the decision. resolve and skip-step need a comment, which is recorded as their reason.
Every action, taken or refused, is in the audit log.`;

@ApiTags('operator')
@Role('operate')
@Controller('v1')
export class OperatorController {
  constructor(@Inject(Operator) private readonly operator: Operator, @Inject(AuditLog) private readonly audit: AuditLog) {}

  @Post('transactions/:id/actions')
  @ApiOperation({ summary: 'Acts on a transaction', description: ACT_DESCRIPTION })
  @ApiParam({ name: 'id', schema: { type: 'string', format: 'uuid' } })
  @ApiResponse({ status: 200, description: 'Done', schema: TRANSACTION_SCHEMA })
  @ApiResponse({ status: 202, description: 'Taken; the transaction has not got there yet', schema: TRANSACTION_SCHEMA })
  @ApiProblems({ 404: 'There is no such transaction', 409: 'It is too late for that, or another instance owns the transaction', 422: 'The protocol has no such action, or the saga no such step' })
  async act(@Param('id') id: string, @Body() body: TransactionActionBody, @Caller() caller: Principal, @Res({ passthrough: true }) reply: FastifyReply): Promise<unknown> {
    const { view, done } = await this.operator.act(txidOf(id), body, caller.subject);
    void reply.status(done ? 200 : 202);
    return transactionJson(view);
  }

  @Post('participants/:name/actions')
  @ApiOperation({ summary: 'Pauses or resumes a participant', description: 'New transactions that name a paused participant are refused with 503 PARTICIPANT_PAUSED; those under way go on.' })
  @ApiParam({ name: 'name', schema: { type: 'string' } })
  @ApiResponse({ status: 200, description: 'Done; other instances follow within about a second', schema: PARTICIPANT_SCHEMA })
  @ApiProblems({ 404: 'There is no such participant' })
  async actOnParticipant(@Param('name') name: string, @Body() body: ParticipantActionBody, @Caller() caller: Principal, @Res({ passthrough: true }) reply: FastifyReply): Promise<unknown> {
    const participant = await this.operator.pauseOrResume(name, body, caller.subject);
    void reply.status(200);
    return participantJson(participant);
  }

  @Get('audit')
  @ApiOperation({ summary: 'Lists operator actions, the latest first' })
  @ApiResponse({ status: 200, description: 'One page', schema: AUDIT_SCHEMA })
  async list(@Query() query: AuditQuery): Promise<unknown> {
    const { items, nextCursor } = await this.audit.list(query.cursor ?? null, query.limit ?? DEFAULT_LIMIT);
    return { items: items.map(auditJson), nextCursor };
  }
}
