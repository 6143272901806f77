import { checkRetention, RetentionError } from './check-retention.js';

const DAY = 86_400_000;

describe('checkRetention', () => {
  const check = (retentionMs: number): void => checkRetention({ keepMs: 7 * DAY, marginMs: DAY, topics: [{ topic: 'concordat.orders.inbox', retentionMs }] });

  it('is content when rows live longer than messages by the margin', () => {
    expect(() => check(DAY)).not.toThrow();
    expect(() => check(6 * DAY)).not.toThrow();
    expect(() => checkRetention({ keepMs: 1, marginMs: DAY, topics: [] })).not.toThrow();
  });

  it('refuses messages that live as long as the rows that answer them, and says what to change', () => {
    expect(() => check(6 * DAY + 1)).toThrow(RetentionError);
    expect(() => check(7 * DAY)).toThrow(`concordat.orders.inbox keeps its messages for ${7 * DAY} ms: keep branch rows for at least ${8 * DAY} ms, or set its retention.ms to at most ${6 * DAY}`);
  });

  it('refuses messages that are kept for ever', () => {
    expect(() => check(-1)).toThrow('concordat.orders.inbox keeps its messages for ever');
  });

  it('names every topic that is wrong', () => {
    const topics = [{ topic: 'a', retentionMs: -1 }, { topic: 'b', retentionMs: 1 }, { topic: 'c', retentionMs: 9 * DAY }];
    expect(() => checkRetention({ keepMs: 7 * DAY, marginMs: 0, topics })).toThrow(/a keeps .*; c keeps /);
  });
});
