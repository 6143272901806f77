import type { Envelope } from '#libs/protocol';
import { partitionOf } from './keys.js';
import type { WorkItem } from './lane.js';
import { routeOf } from './roles/routing.js';
import type { WorkInput } from './run.js';
import { isHere } from './unit.js';

/**
 * What one machine of this site says to another that was not in the same database transaction. It takes no way over the network: everything
 * about one transaction meets in one partition, so the addressee is in the same lane of this very process, and a message that
 * goes straight there comes no later than one through Kafka. Machines take messages in any order, so overtaking others does no harm. The
 * delivery that caused it counts as done only when this is done too, so a crash repeats it.
 *
 * Only while this process owns the partition (`owns`): afterwards the machine, and what it has in memory, are with the new owner, who reads Kafka.
 */
export function splitByPlace(envelopes: readonly Envelope[], name: string, owns: (envelope: Envelope) => boolean) {
  const here: (WorkInput & WorkItem['inputs'][number])[] = [];
  const away: Envelope[] = [];
  for (const envelope of envelopes) {
    const { message } = envelope;
    const route = message.kind !== 'ANNOUNCE' && isHere(envelope, name) && owns(envelope) ? routeOf(message) : null;
    if (route === null || message.kind === 'ANNOUNCE') away.push(envelope);
    else here.push({ ...route, input: { kind: 'MESSAGE', message }, isRetry: false, batch: null });
  }
  return { here, away };
}

/** One entry per partition, in the order of the inputs. */
export function byPartition(inputs: WorkItem['inputs'], partitions: number): ReadonlyMap<number, WorkItem['inputs']> {
  const groups = new Map<number, WorkItem['inputs'][number][]>();
  for (const input of inputs) {
    const partition = partitionOf(input.key.txid, partitions);
    const some = groups.get(partition);
    if (some) some.push(input);
    else groups.set(partition, [input]);
  }
  return groups;
}
