import { Controller, Get, Inject, Req, Res } from '@nestjs/common';
import { ApiOperation, ApiProduces, ApiResponse, ApiTags } from '@nestjs/swagger';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { ApiProblems, Role } from '#libs/service';
import { EventHub } from '../events/event-hub.js';

const DESCRIPTION = `Server-sent events \`begun\`, \`decided\`, \`attention\` (a saga has come to need a person) and \`finished\`, each with a transaction as data. Events of the answering instance come at once, decisions and ends of other instances within about a second.
Events may be repeated, and while a connection is away they are missed: read the list to catch up. A consumer that does not keep up gets the event \`dropped\` and is disconnected.`;

@ApiTags('transactions')
@Role('read')
@Controller('v1/transactions/events')
export class EventsController {
  constructor(@Inject(EventHub) private readonly hub: EventHub) {}

  @Get()
  @ApiOperation({ summary: 'Transactions as they happen', description: DESCRIPTION })
  @ApiProduces('text/event-stream')
  @ApiResponse({ status: 200, description: 'The stream', content: { 'text/event-stream': { schema: { type: 'string' } } } })
  @ApiProblems({ 503: 'Too many streams are open' })
  stream(@Req() request: FastifyRequest, @Res() reply: FastifyReply): void {
    const admission = this.hub.admit();
    if (request.method === 'HEAD') return void reply.type('text/event-stream; charset=utf-8').send();
    reply.hijack();
    reply.raw.writeHead(200, { 'content-type': 'text/event-stream; charset=utf-8', 'cache-control': 'no-store', 'x-accel-buffering': 'no', connection: 'close' });
    admission.attach(reply.raw, request.socket.remoteAddress ?? 'unknown');
  }
}
