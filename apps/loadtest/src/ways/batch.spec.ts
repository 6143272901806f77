import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import type { HttpAnswer } from '../http-connections.js';
import { NoAnswerError } from '../http-connections.js';
import { Batches } from './batch.js';

const OK: HttpAnswer = { status: 200, text: '' };
const line = (document: unknown): Buffer => Buffer.from(`${JSON.stringify(document)}\n`);
const committedLine = (index: number): Buffer => line({ index, transaction: { id: `t${index}`, status: 'committed' } });

/** Notes the bodies; answers what the test says, when it says so. */
function server(): { bodies: string[]; post: (body: string, onData: (chunk: Buffer) => void) => Promise<HttpAnswer>; say(chunk: Buffer): void; end(answer: HttpAnswer): void; fail(error: Error): void } {
  const bodies: string[] = [];
  let open: { onData: (chunk: Buffer) => void; resolve: (answer: HttpAnswer) => void; reject: (error: Error) => void };
  return {
    bodies,
    post: (body, onData) => new Promise((resolve, reject) => { bodies.push(body); open = { onData, resolve, reject }; }),
    say: (chunk) => open.onData(chunk), end: (answer) => open.resolve(answer), fail: (error) => open.reject(error),
  };
}

describe('batches', () => {
  beforeEach(() => { jest.useFakeTimers(); });
  afterEach(() => { jest.useRealTimers(); });

  it('leave at once when they are full', () => {
    const { bodies, post } = server();
    const batches = new Batches(post, 3);
    for (const text of ['1', '2', '3', '4']) void batches.attempt(text);
    expect(bodies).toEqual(['{"transactions":[1,2,3]}']);
  });

  it('leave with what has come when they have waited long enough', () => {
    const { bodies, post } = server();
    const batches = new Batches(post, 3);
    void batches.attempt('1');
    jest.advanceTimersByTime(4);
    void batches.attempt('2');
    expect(bodies).toEqual([]);
    jest.advanceTimersByTime(1);
    expect(bodies).toEqual(['{"transactions":[1,2]}']);
  });

  it('wait anew after one that was full', () => {
    const { bodies, post } = server();
    const batches = new Batches(post, 2);
    void batches.attempt('1');
    jest.advanceTimersByTime(4);
    for (const text of ['2', '3']) void batches.attempt(text);
    jest.advanceTimersByTime(4);
    expect(bodies).toHaveLength(1);
    jest.advanceTimersByTime(1);
    expect(bodies).toEqual(['{"transactions":[1,2]}', '{"transactions":[3]}']);
  });

  it('tell each as soon as its line is there, whatever the order', async () => {
    const { post, say } = server();
    const batches = new Batches(post, 3);
    const [first, second] = ['1', '2', '3'].map((text) => batches.attempt(text));
    say(committedLine(1));
    expect(await second).toMatchObject({ ending: 'committed', txid: 't1' });
    say(line({ index: 0, problem: { status: 429, code: 'OVERLOADED' } }));
    expect(await first).toMatchObject({ ending: 'refused', reason: 'OVERLOADED' });
  });

  it('leave those unknown whose line is missing at the end', async () => {
    const { post, say, end } = server();
    const batches = new Batches(post, 2);
    const [first, second] = ['1', '2'].map((text) => batches.attempt(text));
    say(committedLine(0));
    end(OK);
    expect([(await first)!.ending, (await second)!.ending]).toEqual(['committed', 'unknown']);
  });

  it('are refused as a whole, and lost as far as they were not answered', async () => {
    const refusing = server();
    const refusedOnes = new Batches(refusing.post, 2);
    const both = ['1', '2'].map((text) => refusedOnes.attempt(text));
    refusing.end({ status: 503, text: '{"code":"SHUTTING_DOWN"}' });
    expect((await Promise.all(both)).map(({ ending, reason }) => [ending, reason])).toEqual([['refused', 'SHUTTING_DOWN'], ['refused', 'SHUTTING_DOWN']]);
    const losing = server();
    const lost = new Batches(losing.post, 2);
    const [first, second] = ['1', '2'].map((text) => lost.attempt(text));
    losing.say(committedLine(1));
    losing.fail(new NoAnswerError(new Error('socket hang up'), true));
    expect([(await first)!.ending, (await second)!.ending]).toEqual(['unknown', 'committed']);
  });
});
