import { describe, expect, it } from '@jest/globals';
import type { Envelope } from '#libs/protocol';
import { UnavailableError } from '#libs/runtime';
import { MessageTooLargeError } from '../codec/errors.js';
import { silentLogger } from '../logger.js';
import { ackOn, toCoordinator, until } from '../../test/inbox.js';
import { Outbox, type Ship } from './outbox.js';

const ack = (): Envelope => toCoordinator(ackOn(1));

/** A broker in so far as an outbox sees one. */
class Broker {
  readonly attempts: (readonly Envelope[])[] = [];
  readonly log: Envelope[] = [];
  isDown = false;
  refuses: Envelope | null = null;
  latch: Promise<void> = Promise.resolve();

  readonly ship: Ship = async (envelopes) => {
    this.attempts.push(envelopes);
    await this.latch;
    if (this.refuses !== null && envelopes.includes(this.refuses)) throw MessageTooLargeError.of('ACK', null, 2, 1);
    if (this.isDown) throw new Error('connection refused');
    this.log.push(...envelopes);
  };
}

describe('the outbox', () => {
  it('puts what is sent at the same time into one request', async () => {
    const broker = new Broker();
    const outbox = new Outbox(broker.ship, silentLogger);
    const envelopes = Array.from({ length: 50 }, ack);
    await Promise.all(envelopes.map((envelope) => outbox.send([envelope], [])));
    expect(broker.attempts).toEqual([envelopes]);
  });

  it('gathers what is sent while a request is under way', async () => {
    const broker = new Broker();
    const outbox = new Outbox(broker.ship, silentLogger);
    let release!: () => void;
    broker.latch = new Promise((resolve) => { release = resolve; });
    const [first, ...rest] = Array.from({ length: 20 }, ack) as [Envelope, ...Envelope[]];
    const sends = [outbox.send([first], [])];
    await until('the first request is under way', () => broker.attempts.length === 1);
    for (const envelope of rest) sends.push(outbox.send([envelope], []));
    release();
    await Promise.all(sends);
    expect(broker.attempts).toEqual([[first], rest]);
  });

  it('keeps everything in order through an outage and resolves only afterwards', async () => {
    const broker = new Broker();
    const outbox = new Outbox(broker.ship, silentLogger);
    broker.isDown = true;
    const envelopes = Array.from({ length: 10 }, ack);
    let resolved = 0;
    const sends = envelopes.map((envelope) => outbox.send([envelope], []).then(() => { resolved++; }));
    await until('it has tried several times', () => broker.attempts.length >= 3);
    const late = ack();
    sends.push(outbox.send([late], []));
    expect(resolved).toBe(0);
    broker.isDown = false;
    await Promise.all(sends);
    expect(broker.log).toEqual([...envelopes, late]);
  });

  it('refuses only the sender of a message that can never leave', async () => {
    const broker = new Broker();
    const outbox = new Outbox(broker.ship, silentLogger);
    const [before, culprit, after] = [ack(), ack(), ack()];
    broker.refuses = culprit;
    const results = await Promise.allSettled([before, culprit, after].map((envelope) => outbox.send([envelope], [])));
    expect(results.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled']);
    expect((results[1] as PromiseRejectedResult).reason).toBeInstanceOf(MessageTooLargeError);
    expect(broker.log).toEqual([before, after]);
  });

  it('lets what waits leave when it is closed', async () => {
    const broker = new Broker();
    const outbox = new Outbox(broker.ship, silentLogger);
    const sent = outbox.send([ack()], []);
    await outbox.close();
    await sent;
    expect(broker.log).toHaveLength(1);
  });

  it('tells senders when it is closed during an outage', async () => {
    const broker = new Broker();
    const outbox = new Outbox(broker.ship, silentLogger);
    broker.isDown = true;
    const [sent] = await Promise.all([Promise.allSettled([outbox.send([ack()], [])]), outbox.close()]);
    expect(sent[0]).toMatchObject({ status: 'rejected', reason: { code: 'TRANSPORT_UNAVAILABLE', name: 'UnavailableError' } });
    await expect(outbox.send([ack()], [])).rejects.toThrow(UnavailableError);
  });
});
