import { type Admin, AssignerProtocol, Kafka, logLevel } from 'kafkajs';
import type { Inbox } from '#libs/runtime';
import { topicNames } from '../topics.js';

export interface GroupMember {
  readonly memberId: string;
  /** `<service>-<instance>` of the process. */
  readonly client: string;
  readonly partitions: readonly number[];
}

export interface GroupState {
  /** `Stable`: every member knows its partitions. Anything else: partitions are being handed out, or nobody is there. */
  readonly state: string;
  readonly members: readonly GroupMember[];
}

/** Looks at the consumer group of an inbox from outside, for tools. */
export class GroupObserver {
  private readonly admin: Admin;

  constructor(brokers: readonly string[], private readonly topicPrefix: string) {
    this.admin = new Kafka({ brokers: [...brokers], clientId: 'concordat-observer', logLevel: logLevel.NOTHING }).admin();
  }

  async connect(): Promise<void> {
    await this.admin.connect();
  }

  async look(inbox: Inbox): Promise<GroupState> {
    const topics = topicNames(this.topicPrefix);
    const { groups } = await this.admin.describeGroups([topics.group(inbox)]);
    const group = groups[0]!;
    return {
      state: group.state,
      members: group.members.map(({ memberId, clientId, memberAssignment }) => ({ memberId, client: clientId, partitions: partitionsIn(memberAssignment, topics.inbox(inbox)) })),
    };
  }

  async close(): Promise<void> {
    await this.admin.disconnect();
  }
}

/** While a group rebalances, its members have no assignment. */
function partitionsIn(assignment: Buffer, topic: string): readonly number[] {
  if (assignment.length === 0) return [];
  return [...(AssignerProtocol.MemberAssignment.decode(assignment)?.assignment[topic] ?? [])].sort((a, b) => a - b);
}
