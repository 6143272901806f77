import { setTimeout as sleep } from 'node:timers/promises';
import type { ServiceProcess } from '../start/service-process.ts';
import { type Cluster, KILLED } from './cluster.ts';
import type { ClientView, Load } from './load.ts';
import type { Role } from './options.ts';
import { acquired, allDecided, balanced, decided, isEven, longestPause, nameOf, ownersOf, regrouped, undecidedOn } from './watch.ts';

type Inbox = import('#libs/runtime').Inbox;

/** All in milliseconds since the kill, or since SIGTERM. */
export interface Takeover {
  readonly instance: string;
  /** Until the group misses the instance. */
  readonly detectedMs: number;
  /** Until the group has handed its partitions out. */
  readonly reassignedMs: number;
  /** Until another coordinator has raised the epochs of its shards. */
  readonly acquiredMs: number | null;
  /** Until a decision on one of its shards: of the new owner, or, after a participant was lost, of a transaction begun after the loss. */
  readonly firstDecisionMs: number;
  /** Until everything was decided that was undecided on those shards when the instance was lost. */
  readonly allDecidedMs: number;
  readonly unfinished: number;
  /** Until the process was gone. */
  readonly exitedMs: number;
  /** The longest time without a decision on those shards. */
  readonly pauseMs: number;
  readonly clients: ClientView;
}

export interface Joining {
  readonly instance: string;
  /** From the first sign of the rebalance to even shares. */
  readonly rebalanceMs: number;
  readonly shares: readonly number[];
  /** The longest time without any decision, while the instance joined. */
  readonly pauseMs: number;
  readonly clients: ClientView;
}

/** What there is to watch at the moment of a loss. */
interface Loss {
  readonly inbox: Inbox;
  readonly instance: ServiceProcess;
  readonly shards: readonly number[];
}

const SETTLE_MS = 1_000;

/** Kills an instance with -9 at a random moment and follows what becomes of its work; both instances are there again at the end. */
export async function killRound(cluster: Cluster, load: Load, role: Role, round: number, restartAtOnce: boolean): Promise<Takeover> {
  const loss = await choose(cluster, role, round);
  return await follow(cluster, load, loss, async () => {
    const at = Date.now();
    await loss.instance.kill9();
    if (restartAtOnce) loss.instance.start();
    return { at, exited: Promise.resolve() };
  });
}

/** The same with SIGTERM. */
export async function stopRound(cluster: Cluster, load: Load, role: Role, round: number): Promise<Takeover> {
  const loss = await choose(cluster, role, round);
  return await follow(cluster, load, loss, async () => ({ at: Date.now(), exited: loss.instance.terminate() }));
}

/** Starts the instance that is not there, and follows the rebalance. */
export async function joinRound(cluster: Cluster, load: Load, instance: ServiceProcess): Promise<Joining> {
  const inbox = inboxOf(instance.service);
  await sleep(SETTLE_MS);
  const from = Date.now();
  instance.start();
  let began = 0;
  let shares: readonly number[] = [];
  for (; shares.length === 0; await sleep(15)) {
    const group = await cluster.groups.look(inbox);
    if (began === 0 && (group.state !== 'Stable' || group.members.length > 1)) began = Date.now();
    if (isEven(group)) shares = group.members.map(({ partitions }) => partitions.length);
  }
  const rebalanceMs = Date.now() - began;
  await instance.ready();
  await sleep(SETTLE_MS);
  const to = Date.now();
  return { instance: instance.name, rebalanceMs, shares, pauseMs: await longestPause(cluster, null, from, to), clients: load.view(from, to) };
}

async function choose(cluster: Cluster, role: Role, round: number): Promise<Loss> {
  const pair = role === 'coordinator' ? cluster.coordinators : cluster.participants[KILLED];
  const instance = pair[round % 2]!;
  const inbox = inboxOf(instance.service);
  await balanced(cluster, inbox);
  await sleep(500 + Math.random() * 1_500);
  const group = await balanced(cluster, inbox);
  const shards = group.members.find(({ client }) => client === clientOf(instance))!.partitions;
  return { inbox, instance, shards };
}

async function follow(cluster: Cluster, load: Load, { inbox, instance, shards }: Loss, lose: () => Promise<{ readonly at: number; readonly exited: Promise<void> }>): Promise<Takeover> {
  const before = await ownersOf(cluster);
  const { at, exited } = await lose();
  const isCoordinator = inbox.role === 'coordinator';
  const since = (moment: number): number => moment - at;
  const [group, shardsTaken, firstDecision, unfinished, exitedAt] = await Promise.all([
    regrouped(cluster, inbox, clientOf(instance)),
    isCoordinator ? acquired(cluster, before, shards) : null,
    decided(cluster, shards, isCoordinator ? { sinceMs: at, minEpochs: shards.map((shard) => before.get(shard)!.epoch + 1) } : { sinceMs: at, begunSinceMs: at }),
    undecidedOn(cluster, shards).then(async (txids) => ({ count: txids.length, decidedAt: await allDecided(cluster, txids) })),
    exited.then(() => Date.now()),
  ]);
  await sleep(SETTLE_MS);
  const to = Date.now();
  return {
    instance: instance.name,
    detectedMs: since(group.noticed),
    reassignedMs: since(group.settled),
    acquiredMs: shardsTaken === null ? null : since(shardsTaken),
    firstDecisionMs: since(firstDecision),
    allDecidedMs: since(unfinished.decidedAt),
    unfinished: unfinished.count,
    exitedMs: since(exitedAt),
    pauseMs: await longestPause(cluster, shards, at - 100, to),
    clients: load.view(at, to),
  };
}

/** Starts the instance again if nobody has, and waits for even shares. */
export async function restore(cluster: Cluster, instance: ServiceProcess): Promise<void> {
  instance.start();
  await instance.ready();
  await balanced(cluster, inboxOf(instance.service));
}

export function instanceOf(cluster: Cluster, name: string): ServiceProcess {
  return [cluster.coordinators, ...Object.values(cluster.participants)].flat().find((instance) => instance.name === name)!;
}

function inboxOf(service: string): Inbox {
  return service === 'coordinator' ? { role: 'coordinator' } : { role: 'participant', name: service };
}

/** As the services name themselves to Kafka. */
function clientOf(instance: ServiceProcess): string {
  return `${nameOf(inboxOf(instance.service))}-${instance.name}`;
}
