import { describe, expect, it } from '@jest/globals';
import { type Message, type ProtocolMessage, shardOf } from '#libs/protocol';
import { type InboundBatch, UnavailableError } from '#libs/runtime';
import { ackOn, Recorder, toCoordinator, txidOn, until } from '../../test/inbox.js';
import { MemoryTransport } from './memory-transport.js';

const INBOX = { role: 'coordinator' } as const;
const SHARDS = [0, 1, 2, 3];
const newTransport = (): MemoryTransport => new MemoryTransport({ coordinatorShards: SHARDS.length, participantPartitions: 2 });
const acksOn = (shard: number, count: number): Message[] => Array.from({ length: count }, () => ackOn(shard));
const send = (transport: MemoryTransport, messages: readonly Message[]): Promise<void> => transport.send(messages.map(toCoordinator));
const onShard = (messages: readonly Message[], shard: number): Message[] => messages.filter((m) => shardOf((m as ProtocolMessage).txid) === shard);

describe('the transport inside one process', () => {
  it('delivers what was sent before and after the subscription, in order within each shard', async () => {
    const transport = newTransport();
    const messages = Array.from({ length: 200 }, (_, i) => ackOn(i % 4));
    await send(transport, messages.slice(0, 100));
    const recorder = new Recorder();
    await transport.subscribe(INBOX, recorder);
    await send(transport, messages.slice(100));
    await until('all have arrived', () => recorder.messages.length === 200);
    for (const shard of SHARDS) expect(onShard(recorder.messages, shard)).toEqual(onShard(messages, shard));
    for (const batch of recorder.batches) expect(onShard(batch.messages, batch.partition)).toEqual(batch.messages);
  });

  it('passes everything through the codec: the receiver has its own copies', async () => {
    const transport = newTransport();
    const recorder = new Recorder();
    await transport.subscribe({ role: 'participant', name: 'payments' }, recorder);
    const message: Message = { kind: 'PREPARE', txid: txidOn(0), branch: 0, operation: 'debit', payload: { cents: 5 }, peers: ['payments'] };
    await transport.send([{ to: { role: 'participant', name: 'payments' }, message }]);
    await until('it has arrived', () => recorder.messages.length === 1);
    expect(recorder.messages[0]).toEqual(message);
    expect((recorder.messages[0] as typeof message).payload).not.toBe(message.payload);
  });

  it('delivers again, in order, what a subscriber refused', async () => {
    const transport = newTransport();
    const messages = acksOn(1, 5);
    const recorder = new Recorder((batch, seen) => {
      if (seen <= 2) throw new Error('the database is away');
      batch.done();
    });
    await transport.subscribe(INBOX, recorder);
    await send(transport, messages);
    await until('the third delivery', () => recorder.batches.length === 3);
    for (const batch of recorder.batches) expect(batch.messages).toEqual(messages);
  });

  it('delivers to the next member what the one before had not done, and only that', async () => {
    const transport = newTransport();
    const [done, undone] = [acksOn(0, 3), acksOn(1, 3)];
    const first = new Recorder((batch) => { if (batch.partition === 0) batch.done(); });
    const subscription = await transport.subscribe(INBOX, first);
    await send(transport, [...done, ...undone]);
    await until('both shards have arrived', () => first.messages.length === 6);
    await subscription.close();
    const second = new Recorder();
    await transport.subscribe(INBOX, second);
    await until('the rest has arrived again', () => second.messages.length >= 3);
    expect(second.messages).toEqual(undone);
  });

  it('does not count what is called done after the partition has gone', async () => {
    const transport = newTransport();
    let late: InboundBatch | undefined;
    const first = new Recorder((batch) => { late = batch; });
    const subscription = await transport.subscribe(INBOX, first);
    const messages = acksOn(2, 2);
    await send(transport, messages);
    await until('it has arrived', () => late !== undefined);
    await subscription.close();
    late!.done();
    const second = new Recorder();
    await transport.subscribe(INBOX, second);
    await until('it has arrived again', () => second.messages.length > 0);
    expect(second.messages).toEqual(messages);
  });

  it('keeps a partition back until its new owner is ready for it, and never those it has had before', async () => {
    const transport = newTransport();
    const [a, b] = [new Recorder(), new Recorder()];
    await transport.subscribe(INBOX, a);
    await until('the first has all', () => a.partitions.length === 4);
    let ready!: () => void;
    b.assigned = (partitions) => {
      b.assignments.push(partitions);
      return new Promise((resolve) => { ready = resolve; });
    };
    await transport.subscribe(INBOX, b);
    await until('both know their share', () => a.partitions.length === 2 && b.partitions.length === 2);
    await send(transport, SHARDS.map((shard) => ackOn(shard)));
    await until('what the first still has goes on', () => a.messages.length === 2);
    expect(b.messages).toEqual([]);
    ready();
    await until('the second has its share', () => b.messages.length === 2);
  });

  it('shares partitions among the members of a group; who leaves hands over, and nothing is lost meanwhile', async () => {
    const transport = newTransport();
    const [a, b] = [new Recorder(), new Recorder()];
    await transport.subscribe(INBOX, a);
    const leaving = await transport.subscribe(INBOX, b);
    await until('both have two', () => a.partitions.length === 2 && b.partitions.length === 2);
    expect([...a.partitions, ...b.partitions].sort()).toEqual(SHARDS);
    const messages = Array.from({ length: 40 }, (_, i) => ackOn(i % 4));
    await send(transport, messages.slice(0, 20));
    await leaving.close();
    await send(transport, messages.slice(20));
    await until('the other has all partitions', () => a.partitions.length === 4);
    const seen = (): Set<unknown> => new Set([...a.messages, ...b.messages].map((m) => (m as ProtocolMessage).txid));
    await until('every message has been seen', () => seen().size === 40);
    expect(onShard(a.messages, 1).length + onShard(b.messages, 1).length).toBeGreaterThanOrEqual(10);
  });

  it('puts what cannot be decoded aside, with origin and error, and goes on', async () => {
    const transport = newTransport();
    const recorder = new Recorder();
    await transport.subscribe(INBOX, recorder);
    transport.inject(INBOX, 3, Buffer.from('not json at all'), { trace: 'abc' });
    transport.inject(INBOX, 3, Buffer.from('{"v":1,"sender":"x","messages":[{"kind":"EXPLODE"}]}'));
    const after = ackOn(3);
    await send(transport, [after]);
    await until('the message behind them has arrived', () => recorder.messages.length === 1);
    expect(recorder.messages).toEqual([after]);
    expect(transport.deadLetters).toMatchObject([
      { origin: { topic: 'memory.coordinator.inbox', partition: 3, offset: 0 }, errorCode: 'NOT_JSON', headers: { trace: 'abc' }, value: Buffer.from('not json at all') },
      { origin: { topic: 'memory.coordinator.inbox', partition: 3, offset: 1 }, errorCode: 'UNKNOWN_KIND' },
    ]);
  });

  it('keeps what a subscriber gives up on, alone in its record, with the code of the error', async () => {
    const transport = newTransport();
    const messages = acksOn(2, 3);
    await transport.subscribe(INBOX, new Recorder(async (batch) => {
      await batch.deadLetter(batch.messages[1]!, Object.assign(new Error('no such branch'), { code: 'NO_BRANCH' }));
      batch.done();
    }));
    await send(transport, messages);
    await until('it is there', () => transport.deadLetters.length === 1);
    const [letter] = transport.deadLetters;
    expect(letter).toMatchObject({ errorCode: 'NO_BRANCH', errorMessage: 'no such branch', origin: { partition: 2, offset: 0 } });
    expect(JSON.parse(String(letter!.value))).toEqual({ v: 1, sender: 'memory/1', messages: [messages[1]] });
  });

  it('tells outcomes as CloudEvents', async () => {
    const transport = newTransport();
    const txid = txidOn(1);
    await transport.send([], [{ txid, protocol: '2pc', status: 'aborted', reason: { code: 'CANCELLED' }, decidedAtMs: 0 }]);
    expect(transport.outcomes).toEqual([{
      specversion: '1.0', id: txid, subject: txid, source: '/concordat/coordinator', type: 'concordat.transaction.aborted', time: '1970-01-01T00:00:00.000Z',
      datacontenttype: 'application/json', data: { txid, protocol: '2pc', status: 'aborted', reason: { code: 'CANCELLED' } },
    }]);
  });

  it('puts a message to an impossible name aside and sends the rest', async () => {
    const transport = newTransport();
    const recorder = new Recorder();
    await transport.subscribe(INBOX, recorder);
    await transport.send([{ to: { role: 'participant', name: '../etc' }, message: { kind: 'COMMIT', txid: txidOn(0), branch: 0 } }, toCoordinator(ackOn(0))]);
    await until('the rest has arrived', () => recorder.messages.length === 1);
    expect(transport.deadLetters).toMatchObject([{ errorCode: 'UNKNOWN_DESTINATION' }]);
  });

  it('is out of reach once closed', async () => {
    const transport = newTransport();
    const recorder = new Recorder();
    await transport.subscribe(INBOX, recorder);
    expect(transport.healthy()).toBe(true);
    await transport.close();
    expect(transport.healthy()).toBe(false);
    await expect(send(transport, acksOn(0, 1))).rejects.toThrow(UnavailableError);
    expect(recorder.messages).toEqual([]);
  });
});
