import kafkajs from 'kafkajs';

const { MemberAssignment, MemberMetadata } = kafkajs.AssignerProtocol;
const VERSION = 0;

/** That of kafkajs, so that members of both clients may be in one group, as they are while one is exchanged for the other. */
export const PROTOCOL = 'RoundRobinAssigner';

export function protocolsFor(topic: string): { name: string; metadata: Buffer }[] {
  return [{ name: PROTOCOL, metadata: MemberMetadata.encode({ version: VERSION, topics: [topic], userData: Buffer.alloc(0) }) }];
}

/** Partitions in turn to the members in the order of their ids. */
export function assign(topic: string, partitions: number, memberIds: readonly string[]): { memberId: string; assignment: Buffer }[] {
  return memberIds.toSorted().map((memberId, i) => {
    const share = Array.from({ length: partitions }, (_, partition) => partition).filter((partition) => partition % memberIds.length === i);
    return { memberId, assignment: MemberAssignment.encode({ version: VERSION, assignment: { [topic]: share }, userData: Buffer.alloc(0) }) };
  });
}

/** A member beyond the number of partitions may get nothing at all. */
export function partitionsIn(assignment: Buffer | null, topic: string): readonly number[] {
  if (assignment === null || assignment.length === 0) return [];
  return MemberAssignment.decode(assignment)?.assignment[topic] ?? [];
}
