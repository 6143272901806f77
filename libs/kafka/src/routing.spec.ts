import { describe, expect, it } from '@jest/globals';
import { type Envelope, type PaxosMessage, type ProtocolMessage, shardOf } from '#libs/protocol';
import { MessageTooLargeError } from './codec/errors.js';
import { decodeRecord } from './codec/record.js';
import { Router } from './routing.js';
import { ackOn, toCoordinator, txidOn } from '../test/inbox.js';
import { topicNames } from './topics.js';

const topics = topicNames('shop');
const router = new Router(topics, 'coordinator/1');
const counts = new Map([[topics.coordinatorInbox, 8], [topics.participantInbox('payments'), 4], [topics.participantInbox('orders'), 4]]);
const commit = (name: string, shard: number): Envelope => ({ to: { role: 'participant', name }, message: { kind: 'COMMIT', txid: txidOn(shard), branch: 0 } });

describe('routing', () => {
  it('writes a thousand messages to one participant and shard as one record', () => {
    const { records } = router.route(Array.from({ length: 1_000 }, () => commit('payments', 3)), counts);
    expect(records.map(({ topic, partition }) => [topic, partition])).toEqual([['shop.payments.inbox', 3]]);
    expect(decodeRecord(records[0]!.value, 'participant').messages).toHaveLength(1_000);
  });

  it('needs one record per inbox and partition in use for a mixed send, and keeps the order within each', () => {
    const envelopes = Array.from({ length: 400 }, (_, i) => commit(i % 2 === 0 ? 'payments' : 'orders', i % 8));
    const { records } = router.route(envelopes, counts);
    expect(records).toHaveLength(2 + 2);
    for (const { topic, partition, value } of records) {
      const expected = envelopes.filter((e) => topic === `shop.${(e.to as { name: string }).name}.inbox` && shardOf((e.message as ProtocolMessage).txid) % 4 === partition);
      expect(decodeRecord(value, 'participant').messages).toEqual(expected.map((e) => e.message));
    }
  });

  it('takes the coordinator’s partition from the shard in the txid, and a shard beyond the count modulo', () => {
    const { records } = router.route([toCoordinator(ackOn(5)), toCoordinator(ackOn(4_001))], counts);
    expect(records.map(({ partition }) => partition)).toEqual([5, 4_001 % 8]);
  });

  it('brings acceptors and leaders their messages in the inbox of their site, beside those of the participant about the same transaction', () => {
    const txid = txidOn(7);
    const to = (role: 'participant' | 'acceptor' | 'leader', message: PaxosMessage): Envelope => ({ to: { role, name: 'payments' }, message });
    const envelopes = [
      to('participant', { protocol: 'paxos-commit', kind: 'COMMIT', txid, branch: 0 }),
      to('acceptor', { protocol: 'paxos-commit', kind: 'PHASE_1A', txid, ballot: { n: 1, leader: 1 }, peers: ['payments'], leader: { role: 'leader', name: 'payments' } }),
      to('leader', { protocol: 'paxos-commit', kind: 'LEAD', txid, peers: ['payments'], acceptors: ['payments'] }),
    ];
    const { records } = router.route(envelopes, counts);
    expect(records.map(({ topic, partition }) => [topic, partition])).toEqual([['shop.payments.inbox', 3]]);
    expect(decodeRecord(records[0]!.value, 'participant').messages).toEqual(envelopes.map((e) => e.message));
  });

  it('spreads announcements over the partitions', () => {
    const announce: Envelope = toCoordinator({ kind: 'ANNOUNCE', participant: 'payments', instance: '1', version: '1', operations: [], acceptor: false });
    const used = Array.from({ length: 8 }, () => router.route([announce], counts).records[0]!.partition);
    expect(new Set(used).size).toBe(8);
  });

  it('reports messages to inboxes that do not exist, and routes the rest', () => {
    const nobody = commit('nobody', 1);
    const badName = commit('../../etc', 1);
    const { records, undeliverable } = router.route([nobody, commit('payments', 1), badName], counts);
    expect(undeliverable).toEqual([nobody, badName]);
    expect(records).toHaveLength(1);
  });

  it('refuses a message that is too large', () => {
    expect(() => router.route([toCoordinator({ kind: 'VOTE', txid: txidOn(0), branch: 0, vote: 'yes', result: 'x'.repeat(2_000_000) })], counts)).toThrow(MessageTooLargeError);
  });
});
