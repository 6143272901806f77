import { describe, expect, it } from '@jest/globals';
import { readAcceptorSettings, readSettings } from './app-settings.js';
import { checkBranchRetention, rowsKeptMs } from './housekeeping.js';

const HOUR_MS = 3_600_000;
const DATABASE = 'postgres://user@localhost/db';
const env = { SHIPPING_EU_DATABASE_URL: DATABASE, ACCEPTOR_DATABASE_URL: DATABASE, CONCORDAT_AUTH: 'off', LOG_LEVEL: 'silent' };

describe('the settings of a service', () => {
  it('have defaults for everything but the database, whose variable is named after the service', () => {
    expect(readSettings('shipping-eu', 3005, env)).toMatchObject({
      name: 'shipping-eu', databaseUrl: DATABASE, port: 3005, portVariable: 'SHIPPING_EU_PORT', partitions: 8, lanes: 1, poolSize: 10,
      site: { inquireAfterMs: 5_000, resolveAfterMs: 2_000, paxosRepeatAfterMs: 1_000, leadAfterRepeats: 1, staggerMs: 250 },
      retention: { hours: 168, partitionHours: 24, everyMs: 300_000 },
    });
  });

  it('come from the environment', () => {
    const given = {
      ...env, INQUIRE_AFTER_MS: '100', RESOLVE_AFTER_MS: '200', PAXOS_REPEAT_AFTER_MS: '300', LEAD_AFTER_REPEATS: '4', STAGGER_MS: '0',
      BRANCH_RETENTION_HOURS: '0.5', HOUSEKEEPING_SECONDS: '10', SHIPPING_EU_PORT: '0',
    };
    expect(readSettings('shipping-eu', 3005, given)).toMatchObject({
      port: 0, site: { inquireAfterMs: 100, resolveAfterMs: 200, paxosRepeatAfterMs: 300, leadAfterRepeats: 4, staggerMs: 0 },
      retention: { hours: 0.5, partitionHours: 0.5, everyMs: 10_000 },
    });
  });

  it.each([
    ['RESOLVE_AFTER_MS', 'soon'], ['PAXOS_REPEAT_AFTER_MS', '1'], ['LEAD_AFTER_REPEATS', '0'], ['STAGGER_MS', '-1'], ['BRANCH_RETENTION_HOURS', '0'],
    ['BRANCH_PARTITION_HOURS', '200'], ['HOUSEKEEPING_SECONDS', '0'],
  ])('are refused with one line that names %s', (variable, value) => {
    expect(() => readSettings('shipping-eu', 3005, { ...env, [variable]: value })).toThrow(new RegExp(`^${variable} got "${value}"; it takes .+$`));
  });
});

describe('the settings of an acceptor', () => {
  it('have a name of their own, and variables that do not depend on it', () => {
    expect(readAcceptorSettings(3004, env)).toMatchObject({ name: 'acceptor-1', databaseUrl: DATABASE, port: 3004, portVariable: 'ACCEPTOR_PORT' });
    expect(readAcceptorSettings(3004, { ...env, ACCEPTOR_NAME: 'frankfurt', ACCEPTOR_PORT: '1' })).toMatchObject({ name: 'frankfurt', port: 1 });
  });

  it('are refused when the name is none, or there is no database', () => {
    expect(() => readAcceptorSettings(3004, { ...env, ACCEPTOR_NAME: 'a b' })).toThrow(/^ACCEPTOR_NAME got "a b"; it takes 1 to 100 letters/);
    expect(() => readAcceptorSettings(3004, { CONCORDAT_AUTH: 'off' })).toThrow(/^ACCEPTOR_DATABASE_URL is not set/);
  });
});

describe('branch rows', () => {
  const retention = (hours: number) => ({ hours, partitionHours: 1, everyMs: 1 });
  const inbox = (retentionMs: number) => ({ topic: 'concordat.orders.inbox', retentionMs });

  it('outlive the messages of the inbox by default, and a start that would let them go before is refused', () => {
    expect(() => checkBranchRetention(retention(168), inbox(24 * HOUR_MS))).not.toThrow();
    expect(() => checkBranchRetention(retention(47), inbox(24 * HOUR_MS))).toThrow(/^BRANCH_RETENTION_HOURS is 47: .*concordat\.orders\.inbox keeps its messages for 86400000 ms/);
    expect(() => checkBranchRetention(retention(168), inbox(Infinity))).toThrow(/concordat\.orders\.inbox keeps its messages for ever/);
  });

  it('can be kept for a short time when the inbox is, too', () => {
    expect(() => checkBranchRetention(retention(0.1), inbox(180_000))).not.toThrow();
    expect(() => checkBranchRetention(retention(0.1), inbox(180_001))).toThrow(/^BRANCH_RETENTION_HOURS is 0\.1/);
  });

  it('are not compared with an inbox that nobody can tell of', () => {
    expect(() => checkBranchRetention(retention(0.1), null)).not.toThrow();
  });

  it('prove nothing to the machines a little before the first of them goes', () => {
    expect(rowsKeptMs(retention(168))).toBe(168 * HOUR_MS - 300_000);
    expect(rowsKeptMs(retention(0.1))).toBe(0.09 * HOUR_MS);
  });
});
