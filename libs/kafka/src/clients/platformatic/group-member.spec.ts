import { type Connection, heartbeatV4, joinGroupV7, syncGroupV5 } from '@platformatic/kafka';
import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { KAFKA_DEFAULTS, type Settings } from '../../connection/options.js';
import { silentLogger } from '../../logger.js';
import type { MemberOptions } from '../client.js';
import type { Cluster } from './cluster.js';
import { PlatformaticMember } from './group-member.js';

const OPTIONS: MemberOptions = { group: 'coordinator', topic: 'inbox', partitions: 4, sessionTimeoutMs: 4_000, rebalanceTimeoutMs: 10_000, heartbeatMs: 250 };
const SETTINGS: Settings = { ...KAFKA_DEFAULTS, brokers: [], clientId: 'test', sender: 'test/1', participants: [], logger: silentLogger };

type Answered = (error: Error | null, answer: unknown) => void;

/** Leads a group of these members, and counts its heartbeats. */
class FakeConnection {
  heartbeats = 0;
  constructor(private readonly members: readonly string[]) {}

  send(...[apiKey, , , , , , answered]: [number, number, unknown, unknown, boolean, boolean, Answered]): void {
    if (apiKey === heartbeatV4.api.key) this.heartbeats++;
    answered(null, this.answerTo(apiKey));
  }

  async close(): Promise<void> {}

  private answerTo(apiKey: number): unknown {
    switch (apiKey) {
      case joinGroupV7.api.key:
        return { memberId: 'me', generationId: 1, leader: 'me', members: this.members.map((memberId) => ({ memberId })) };
      case syncGroupV5.api.key:
        return { assignment: null };
      default:
        return {};
    }
  }
}

describe('heartbeats of a member', () => {
  beforeEach(() => void jest.useFakeTimers());
  afterEach(() => void jest.useRealTimers());

  async function heartbeatsIn(ms: number, members: readonly string[], options: Partial<MemberOptions> = {}): Promise<number> {
    const connection = new FakeConnection(members);
    const cluster = { coordinatorOf: async () => ({ host: 'here', port: 1 }), connect: async () => connection as unknown as Connection, leaveGroup: async () => {} };
    const events = { joined: () => [], alive: () => {}, rebalancing: async () => {}, read: () => {}, lost: (cause: unknown) => { throw cause; } };
    const member = new PlatformaticMember(cluster as unknown as Cluster, { ...OPTIONS, ...options }, events, SETTINGS);
    member.start();
    await jest.advanceTimersByTimeAsync(ms);
    await member.leave();
    return connection.heartbeats;
  }

  it('are as frequent as configured while there are others, which wait for it in a rebalance', async () => {
    expect(await heartbeatsIn(2_100, ['me', 'other'])).toBe(8);
  });

  it('are four in the time of a session while it is alone', async () => {
    expect(await heartbeatsIn(4_100, ['me'])).toBe(4);
  });

  it('are never more frequent than configured', async () => {
    expect(await heartbeatsIn(4_100, ['me'], { heartbeatMs: 2_000 })).toBe(2);
  });
});
