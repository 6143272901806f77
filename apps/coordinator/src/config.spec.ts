import { describe, expect, it } from '@jest/globals';
import { pino } from 'pino';
import { configFromEnv, type CoordinatorConfig } from './config.js';

const read = (env: Record<string, string>): CoordinatorConfig => configFromEnv({ COORDINATOR_DATABASE_URL: 'postgres://localhost/x', CONCORDAT_AUTH: 'off', ...env }, pino({ level: 'silent' }), true);

describe('the coordinator\'s environment', () => {
  it('may say nothing', () => {
    const { acceptors, maxInFlight, maxInFlightPerParticipant, webhook, limits: { saga }, history } = read({});
    expect([acceptors, maxInFlight, maxInFlightPerParticipant, webhook]).toEqual([['orders', 'payments', 'inventory'], 5_000, 2_500, null]);
    expect(saga.retry.firstMs).toBeLessThanOrEqual(saga.retry.maxMs);
    expect(history.partitionHours).toBeLessThanOrEqual(history.hours);
  });

  it('names acceptors, limits, defaults of sagas and what is kept', () => {
    expect(read({ ACCEPTORS: 'a, b ,c,d,e', MAX_IN_FLIGHT_PER_PARTICIPANT: '7', RESOLVE_AFTER_MS: '100', HISTORY_HOURS: '0.5', HOUSEKEEPING_SECONDS: '9' })).toMatchObject({
      acceptors: ['a', 'b', 'c', 'd', 'e'], maxInFlightPerParticipant: 7, resolveAfterMs: 100, history: { hours: 0.5, partitionHours: 0.5, everyMs: 9_000 },
    });
    expect(read({ SAGA_TIMEOUT_MS: '1', SAGA_STEP_TIMEOUT_MS: '2', SAGA_RETRY_MAX_ATTEMPTS: '3', SAGA_RETRY_FIRST_MS: '20000', SAGA_COMPENSATION_TIMEOUT_MS: '5', SAGA_ATTENTION_AFTER_ATTEMPTS: '6' }).limits.saga).toEqual({
      timeoutMs: 1, stepTimeoutMs: 2, retry: { maxAttempts: 3, firstMs: 20_000, maxMs: 20_000 }, compensationTimeoutMs: 5, attentionAfterAttempts: 6,
    });
  });

  it.each<[Record<string, string>, RegExp]>([
    [{ ACCEPTORS: 'a,b' }, /^ACCEPTORS got "a,b"; it takes an odd number of distinct names/],
    [{ ACCEPTORS: 'a,b,a' }, /^ACCEPTORS got/],
    [{ ACCEPTORS: 'a,,c' }, /^ACCEPTORS got/],
    [{ ACCEPTORS: Array.from({ length: 11 }, (_, i) => `a${i}`).join() }, /at most 9/],
    [{ MAX_IN_FLIGHT_PER_PARTICIPANT: '0' }, /^MAX_IN_FLIGHT_PER_PARTICIPANT got "0"/],
    [{ RESOLVE_AFTER_MS: 'soon' }, /^RESOLVE_AFTER_MS got "soon"/],
    [{ SAGA_RETRY_MAX_ATTEMPTS: '0' }, /^SAGA_RETRY_MAX_ATTEMPTS got "0"/],
    [{ SAGA_RETRY_FIRST_MS: '0' }, /^SAGA_RETRY_FIRST_MS got "0"/],
    [{ SAGA_RETRY_FIRST_MS: '500', SAGA_RETRY_MAX_MS: '499' }, /^SAGA_RETRY_MAX_MS got "499"; it takes a whole number from 500/],
    [{ HISTORY_HOURS: '1', PARTITION_HOURS: '2' }, /^PARTITION_HOURS got "2"; it takes a number from 0.01 to 1$/],
    [{ WEBHOOK_URL: 'https://example.com/' }, /^WEBHOOK_SECRET is not set/],
  ])('%j stops the start with one line', (env, line) => {
    expect(() => read(env)).toThrow(line);
  });
});
