import { type Envelope, makeTxid } from '#libs/protocol';
import { Outbox } from './outbox.js';
import type { OutcomeEvent } from './ports.js';
import { FakeClock, turns, until } from './testing/fake-clock.js';

const txid = makeTxid(0, 0, new Uint8Array(8));
const to = { role: 'participant', name: 'orders' } as const;
const commit = (branch: number): Envelope => ({ to, message: { kind: 'COMMIT', txid, branch } });
const prepare = (branch: number): Envelope => ({ to, message: { kind: 'PREPARE', txid, branch, operation: 'x', payload: null, peers: ['orders'] } });
const outcome = (index: number): OutcomeEvent => ({ txid: makeTxid(0, index, new Uint8Array(8)), protocol: '2pc', status: 'committed', reason: null, decidedAtMs: 0 });

describe('Outbox', () => {
  let clock: FakeClock;
  let sends: (readonly Envelope[])[];
  let fault: Error | null;
  let errors: unknown[];
  let outbox: Outbox;
  let busy: boolean;
  let sentOutcomes: OutcomeEvent[];
  let tooLarge: Envelope | OutcomeEvent | null;

  beforeEach(() => {
    clock = new FakeClock();
    sends = [];
    fault = null;
    errors = [];
    sentOutcomes = [];
    busy = false;
    tooLarge = null;
    const transport = {
      send: async (envelopes: readonly Envelope[], outcomes: readonly OutcomeEvent[] = []): Promise<void> => {
        await turns(1);
        if (fault !== null) throw fault;
        if (tooLarge !== null && [...envelopes, ...outcomes].includes(tooLarge)) throw Object.assign(new Error('too large'), { code: 'MESSAGE_TOO_LARGE' });
        sends.push(envelopes);
        sentOutcomes.push(...outcomes);
      },
    };
    outbox = new Outbox({ transport, clock, lazyMs: 5, maxBatch: 100, busy: () => busy, onError: (error) => errors.push(error) });
  });

  it('sends urgent messages at once, together', async () => {
    outbox.push([prepare(0)]);
    outbox.push([prepare(1)]);
    await until(() => sends.length === 1);
    expect(sends).toEqual([[prepare(0), prepare(1)]]);
  });

  it('sends at once what somebody waits for, and what has waited for company', async () => {
    outbox.push([commit(0)]);
    outbox.push([], [outcome(0)], null, true);
    await until(() => sends.length === 1);
    expect(sends).toEqual([[commit(0)]]);
    expect(sentOutcomes).toEqual([outcome(0)]);
  });

  it('reports a defect of whoever hears that it is sent, and goes on', async () => {
    const heard: number[] = [];
    outbox.push([prepare(0)], [], () => {
      throw new Error('a defect');
    });
    outbox.push([prepare(1)], [], () => heard.push(1));
    await until(() => heard.length === 1);
    outbox.push([prepare(2)], [], () => heard.push(2));
    await until(() => heard.length === 2);
    expect(errors).toEqual([new Error('a defect')]);
    expect(sends).toHaveLength(2);
  });

  it('lets lazy messages wait for lazyMs, no longer', async () => {
    outbox.push([commit(0)]);
    await clock.advance(4);
    outbox.push([commit(1)]);
    expect(sends).toEqual([]);
    await clock.advance(1);
    expect(sends).toEqual([[commit(0), commit(1)]]);
  });

  it('lets lazy messages wait on while something is under way that will send, but not for ever', async () => {
    busy = true;
    outbox.push([commit(0)]);
    await clock.advance(20);
    expect(sends).toEqual([]);
    outbox.push([prepare(1)]);
    await until(() => sends.length === 1);
    expect(sends).toEqual([[commit(0), prepare(1)]]);

    outbox.push([commit(2)]);
    await clock.advance(25);
    expect(sends.length).toBe(2);
  });

  it('takes lazy messages along with urgent ones, in order', async () => {
    outbox.push([commit(0)]);
    outbox.push([prepare(1)]);
    await until(() => sends.length === 1);
    expect(sends).toEqual([[commit(0), prepare(1)]]);
    expect(clock.pending).toBe(0);
  });

  it('gives up a message that can never be sent, says so, and sends all others in order', async () => {
    const done: number[] = [];
    const huge = prepare(2);
    tooLarge = huge;
    outbox.push([prepare(0), prepare(1), huge, prepare(3)], [], () => done.push(0));
    outbox.push([prepare(4)], [], () => done.push(1));
    await until(() => done.length === 2);
    expect(sends.flat()).toEqual([prepare(0), prepare(1), prepare(3), prepare(4)]);
    expect(errors).toEqual([expect.objectContaining({ code: 'MESSAGE_TOO_LARGE' })]);
    expect(outbox.unsent).toBe(0);
  });

  it('gives up an outcome that can never be sent, and no message or other outcome with it', async () => {
    const outcomes = [outcome(0), outcome(1), outcome(2)];
    tooLarge = outcomes[1]!;
    let done = false;
    outbox.push([prepare(0)], outcomes, () => { done = true; });
    await until(() => done);
    expect({ messages: sends.flat(), outcomes: sentOutcomes }).toEqual({ messages: [prepare(0)], outcomes: [outcomes[0], outcomes[2]] });
    expect(errors).toHaveLength(1);
  });

  it('repeats a failed send until it is acknowledged, and calls back only then, in order', async () => {
    const done: number[] = [];
    fault = new Error('down');
    outbox.push([prepare(0)], [], () => done.push(0));
    outbox.push([], [], () => done.push(1));
    await clock.advance(5_000);
    expect(done).toEqual([]);
    expect(outbox).toMatchObject({ unsent: 1, failingSinceMs: expect.any(Number) });
    expect(errors.length).toBeGreaterThan(2);
    fault = null;
    await clock.advance(2_000);
    expect(sends).toEqual([[prepare(0)]]);
    expect(done).toEqual([0, 1]);
    expect(outbox).toMatchObject({ unsent: 0, failingSinceMs: null });
  });

  it('drains at once what is lazy', async () => {
    outbox.push([commit(0)]);
    await outbox.drain();
    expect(sends).toEqual([[commit(0)]]);
  });

  it('ends its retries when it is closed, and calls nothing done that was not sent', async () => {
    let done = false;
    fault = new Error('down');
    outbox.push([prepare(0)], [], () => {
      done = true;
    });
    await turns();
    await outbox.close();
    expect(done).toBe(false);
    expect(clock.pending).toBe(0);
  });
});
