import type { Kafka } from 'kafkajs';
import { FEW_RETRIES } from '../clients/kafkajs/connection.js';

/** What kafkajs (2.2.4, src/index.js) keeps to itself: only a consumer may leave a group there, and only for itself. */
interface Cluster {
  connect(): Promise<void>;
  disconnect(): Promise<void>;
  findGroupCoordinator(query: { groupId: string }): Promise<{ leaveGroup(member: { groupId: string; memberId: string }): Promise<unknown> }>;
}

/**
 * Takes members that an earlier process of the same client id has left behind out of the group. Otherwise a process that was killed and
 * is started again at once has to wait for its own session to run out, and so have all other members, which stand still in a rebalance
 * until then. If such a member lives after all (two processes under one name), it joins again.
 * @returns how many there were
 */
export async function removePredecessors(kafka: Kafka, groupId: string, clientId: string): Promise<number> {
  const left = await membersOf(kafka, groupId, clientId);
  const cluster = left.length === 0 ? null : clusterOf(kafka);
  if (cluster === null) return 0;
  try {
    await cluster.connect();
    const coordinator = await cluster.findGroupCoordinator({ groupId });
    for (const memberId of left) await coordinator.leaveGroup({ groupId, memberId });
    return left.length;
  } finally {
    await cluster.disconnect();
  }
}

async function membersOf(kafka: Kafka, groupId: string, clientId: string): Promise<readonly string[]> {
  const admin = kafka.admin({ retry: FEW_RETRIES });
  try {
    await admin.connect();
    const { groups } = await admin.describeGroups([groupId]);
    return groups.flatMap(({ members }) => members.filter((member) => member.clientId === clientId).map(({ memberId }) => memberId));
  } finally {
    await admin.disconnect();
  }
}

function clusterOf(kafka: Kafka): Cluster | null {
  const key = Object.getOwnPropertySymbols(kafka).find(({ description }) => description === 'private:Kafka:createCluster');
  const create = key === undefined ? undefined : (kafka as unknown as Record<symbol, ((options: object) => Cluster) | undefined>)[key];
  return create?.({ metadataMaxAge: 300_000, allowAutoTopicCreation: false }) ?? null;
}
