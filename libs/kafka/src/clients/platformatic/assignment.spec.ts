import { describe, expect, it } from '@jest/globals';
import kafkajs, { type Cluster } from 'kafkajs';
import { assign, partitionsIn, PROTOCOL, protocolsFor } from './assignment.js';

const MEMBERS = ['c', 'a', 'b'];
const ofKafkajs = kafkajs.PartitionAssigners.roundRobin({ cluster: { findTopicPartitionMetadata: () => Array.from({ length: 8 }, (_, partitionId) => ({ partitionId })) } as unknown as Cluster, groupId: 'g', logger: null as never });

describe('the shares of a group', () => {
  it('are those that kafkajs would hand out, so that members of both clients can be in one group', async () => {
    const theirs = await ofKafkajs.assign({ members: MEMBERS.map((memberId) => ({ memberId, memberMetadata: Buffer.alloc(0) })), topics: ['t'] });
    const sharesOf = (all: readonly { memberId: string; share: Buffer }[]): object => Object.fromEntries(all.map(({ memberId, share }) => [memberId, partitionsIn(share, 't')]));
    const ours = sharesOf(assign('t', 8, MEMBERS).map(({ memberId, assignment }) => ({ memberId, share: assignment })));
    expect(ours).toEqual({ a: [0, 3, 6], b: [1, 4, 7], c: [2, 5] });
    expect(ours).toEqual(sharesOf(theirs.map(({ memberId, memberAssignment }) => ({ memberId, share: memberAssignment }))));
    expect(PROTOCOL).toBe(ofKafkajs.name);
    expect(kafkajs.AssignerProtocol.MemberMetadata.decode(protocolsFor('t')[0]!.metadata)).toMatchObject({ version: ofKafkajs.version, topics: ['t'] });
  });

  it('may be nothing', () => {
    expect(partitionsIn(assign('t', 1, ['a', 'b'])[1]!.assignment, 't')).toEqual([]);
    expect(partitionsIn(Buffer.alloc(0), 't')).toEqual([]);
    expect(partitionsIn(null, 't')).toEqual([]);
  });
});
