import { createRequire } from 'node:module';
import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { mendRequestQueue } from './request-queue.js';

interface Queue {
  push(request: { readonly entry: { readonly correlationId: number }; readonly expectResponse: boolean; sendRequest(): void }): void;
  fulfillRequest(response: { readonly correlationId: number; readonly size: number; readonly payload: Buffer }): void;
  maybeThrottle(ms: number): void;
}

type QueueClass = (new (options: object) => Queue) & Parameters<typeof mendRequestQueue>[0];

const RequestQueue = createRequire(import.meta.url)('kafkajs/src/network/requestQueue') as NonNullable<QueueClass>;
mendRequestQueue(RequestQueue);

const answer = (correlationId: number): Parameters<Queue['fulfillRequest']>[0] => ({ correlationId, size: 0, payload: Buffer.alloc(0) });

describe('the queue of a kafkajs connection', () => {
  let queue: Queue;
  let sent: number[];
  const ask = (correlationId: number): void => queue.push({ entry: { correlationId, resolve: () => {}, reject: () => {} } as never, expectResponse: true, sendRequest: () => sent.push(correlationId) });

  beforeEach(() => {
    jest.useFakeTimers();
    sent = [];
    queue = new RequestQueue({ maxInFlightRequests: null, requestTimeout: 1_000, enforceRequestTimeout: false, clientId: 'test', broker: 'here', logger: { debug: () => {}, warn: () => {} } });
  });
  afterEach(() => void jest.useRealTimers());

  it('does not wake up when nothing is held back', () => {
    ask(1);
    queue.fulfillRequest(answer(1));

    expect(sent).toEqual([1]);
    expect(jest.getTimerCount()).toBe(0);
  });

  it('sends what throttling has held back when that is over, and then rests', () => {
    queue.maybeThrottle(500);
    ask(1);
    jest.advanceTimersByTime(400);
    expect(sent).toEqual([]);

    jest.advanceTimersByTime(200);
    expect(sent).toEqual([1]);
    expect(jest.getTimerCount()).toBe(0);
  });

  it('stays mended when it is mended again', () => {
    const { scheduleCheckPendingRequests: mended } = RequestQueue.prototype;
    mendRequestQueue(RequestQueue);

    expect(RequestQueue.prototype.scheduleCheckPendingRequests).toBe(mended);
  });
});
