import { afterEach, describe, expect, it } from '@jest/globals';
import { Controller, type INestMicroservice, Module, type Type } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { EventPattern, Payload } from '@nestjs/microservices';
import type { InboundBatch } from '#libs/runtime';
import { ackOn, toCoordinator, until } from '../../test/inbox.js';
import { MemoryTransport } from '../memory/memory-transport.js';
import { InboxPattern, InboxStrategy } from './inbox-strategy.js';

const calls: { assigned: (readonly number[])[]; batches: InboundBatch[]; refuse: number } = { assigned: [], batches: [], refuse: 0 };

@Controller()
class InboxController {
  @EventPattern(InboxPattern.ASSIGNED)
  async assigned(@Payload() partitions: readonly number[]): Promise<void> {
    calls.assigned.push(partitions);
  }

  @EventPattern(InboxPattern.BATCH)
  async deliver(@Payload() batch: InboundBatch): Promise<void> {
    calls.batches.push(batch);
    if (calls.refuse-- > 0) throw new Error('the database is away');
    batch.done();
  }
}

@Module({ controllers: [InboxController] })
class InboxModule {}

@Module({})
class EmptyModule {}

const INBOX = { role: 'coordinator' } as const;
let app: INestMicroservice | undefined;

async function start(module: Type, transport: MemoryTransport): Promise<INestMicroservice> {
  Object.assign(calls, { assigned: [], batches: [], refuse: 0 });
  app = await NestFactory.createMicroservice(module, { strategy: new InboxStrategy({ transport, inbox: INBOX }), logger: false });
  await app.listen();
  return app;
}

afterEach(async () => {
  await app?.close();
  app = undefined;
});

describe('an inbox as a Nest microservice', () => {
  it('hears its partitions first and then gets batches, which it can acknowledge', async () => {
    const transport = new MemoryTransport({ coordinatorShards: 2, participantPartitions: 2 });
    await start(InboxModule, transport);
    const message = ackOn(1);
    await transport.send([toCoordinator(message)]);
    await until('the batch has arrived', () => calls.batches.length === 1);
    expect(calls.assigned).toEqual([[0, 1]]);
    expect(calls.batches[0]).toMatchObject({ partition: 1, messages: [message] });
  });

  it('gets a batch again when the handler throws', async () => {
    const transport = new MemoryTransport({ coordinatorShards: 1, participantPartitions: 1 });
    await start(InboxModule, transport);
    calls.refuse = 2;
    await transport.send([toCoordinator(ackOn(0))]);
    await until('the third delivery', () => calls.batches.length === 3);
    expect(new Set(calls.batches.map((batch) => JSON.stringify(batch.messages))).size).toBe(1);
  });

  it('leaves the group when the application closes', async () => {
    const transport = new MemoryTransport({ coordinatorShards: 2, participantPartitions: 2 });
    const running = await start(InboxModule, transport);
    const statuses: unknown[] = [];
    running.on('status' as never, (status: unknown) => statuses.push(status));
    expect(running.unwrap()).toBe(transport);
    await until('it is subscribed', () => calls.assigned.length === 1);
    await running.close();
    await transport.send([toCoordinator(ackOn(0))]);
    const next: number[] = [];
    await transport.subscribe(INBOX, { assigned: async () => {}, deliver: async (batch) => { next.push(batch.messages.length); } });
    await until('the next member has it', () => next.length === 1);
    expect(calls.batches).toEqual([]);
    expect(statuses).toEqual(['subscribed', 'closed']);
  });

  it('refuses to start without handlers', async () => {
    await expect(start(EmptyModule, new MemoryTransport({ coordinatorShards: 1, participantPartitions: 1 }))).rejects.toThrow("no handler is registered with @EventPattern('inbox')");
  });
});
