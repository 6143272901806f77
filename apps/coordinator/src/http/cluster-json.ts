import type { AuditRecord, RegisteredParticipant, ShardInfo } from '#libs/postgres';
import type { CoordinatorDriver } from '#libs/runtime';
import { iso } from './transaction-json.js';

type OwnShard = ReturnType<CoordinatorDriver['shards']>[number];

export function participantJson(participant: RegisteredParticipant): Record<string, unknown> {
  const { name, paused, operations, instances } = participant;
  return {
    name, paused, acceptor: instances.some((one) => one.acceptor), operations,
    instances: instances.map(({ instance, version, live, firstSeenMs, lastSeenMs }) => ({ instance, version, live, firstSeenAt: iso(firstSeenMs), lastSeenAt: iso(lastSeenMs) })),
  };
}

export function shardJson(stored: ShardInfo, own: OwnShard | undefined): Record<string, unknown> {
  // An epoch of somebody else: the shard has moved on, and this instance is yet to notice.
  const here = own !== undefined && own.epoch === stored.epoch;
  return {
    shard: stored.shard, owner: stored.owner, epoch: stored.epoch, acquiredAt: iso(stored.acquiredAtMs),
    here, inFlight: here ? own.inFlight : null, recovered: here ? own.recovered : null,
  };
}

export function auditJson(entry: AuditRecord): Record<string, unknown> {
  const { id, atMs, actor, action, target, comment, result } = entry;
  return { id, at: iso(atMs), actor, action, target, comment, result };
}
