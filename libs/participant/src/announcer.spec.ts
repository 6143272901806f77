import { afterEach, expect, it } from '@jest/globals';
import { MemoryTransport } from '#libs/kafka';
import type { Announce, Message } from '#libs/protocol';
import type { Transport } from '#libs/runtime';
import { Announcer } from './announcer.js';

const announcement: Announce = { kind: 'ANNOUNCE', participant: 'orders', instance: 'one', version: '1', acceptor: true, operations: [{ name: 'place', uses: ['branch'], stepKinds: [], payloadSchema: { type: 'object' } }] };
const closing: (() => Promise<void>)[] = [];
afterEach(async () => { for (const close of closing.splice(0)) await close(); });

/** Resolves when the coordinator's inbox has received this many messages. */
async function received(transport: Transport, wanted: number): Promise<readonly Message[]> {
  const messages: Message[] = [];
  return new Promise((resolve) => {
    void transport.subscribe({ role: 'coordinator' }, {
      assigned: async () => {},
      deliver: async (batch) => {
        messages.push(...batch.messages);
        batch.done();
        if (messages.length >= wanted) resolve(messages);
      },
    });
  });
}

it('tells the coordinator at the start and then again and again', async () => {
  const transport = new MemoryTransport({ coordinatorShards: 2, participantPartitions: 2 });
  const announcer = new Announcer({ transport, announcement, everyMs: 5, onError: (error) => { throw error; } });
  closing.push(() => announcer.stop(), () => transport.close());
  announcer.start();
  expect((await received(transport, 3)).slice(0, 3)).toEqual([announcement, announcement, announcement]);
});

it('goes on when the broker was away, without waiting for the next round', async () => {
  const transport = new MemoryTransport({ coordinatorShards: 2, participantPartitions: 2 });
  const errors: unknown[] = [];
  let failures = 2;
  const flaky: Transport = Object.assign(Object.create(transport) as MemoryTransport, {
    send: (...args: Parameters<Transport['send']>) => (failures-- > 0 ? Promise.reject(new Error('broker away')) : transport.send(...args)),
  });
  const announcer = new Announcer({ transport: flaky, announcement, everyMs: 3_600_000, retryMs: 5, onError: (error) => errors.push(error) });
  closing.push(() => announcer.stop(), () => transport.close());
  announcer.start();
  expect(await received(transport, 1)).toEqual([announcement]);
  expect(errors).toHaveLength(2);
});
