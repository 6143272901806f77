/** Messages on their way: late, lost, twice, out of order, cut off. */
import type { Message, Sent } from '../system.js';
import { DELIVER, Event, type Instance, type Process, type Site, type World } from './model.js';

const SAME_SITE_MS = 0.1;

/** Sends what a step owes. */
export function send(world: World, sender: Instance, messages: readonly Sent[]): void {
  for (const { to, message } of messages) sendOne(world, sender, to, message);
}

function sendOne(world: World, sender: Instance, to: string, message: Message): void {
  const { transaction } = sender;
  const place = transaction.places.get(to);
  if (place === undefined) throw new Error(`${sender.role.name} sends ${message.kind} to ${to}, which is no role`);
  const receiver = chooseInstance(world, transaction.instances[place]!);
  const { random, faults } = world;
  const id = launch(world, sender, receiver, message);
  if (random.chance(faults.loss)) {
    world.counts.loss += 1;
    world.trace?.({ atMs: world.nowMs, kind: 'lose', id, why: 'loss' });
  } else {
    world.queue.push(new Event(world.nowMs + delayMs(world, sender.process, receiver.process), DELIVER, sender.process, receiver, message, id));
  }
  if (!random.chance(faults.duplicate)) return;
  world.counts.duplicate += 1;
  const copy = launch(world, sender, receiver, message);
  const extraMs = random.exponential(faults.spreadMs + COPY_MS);
  world.queue.push(new Event(world.nowMs + delayMs(world, sender.process, receiver.process) + extraMs, DELIVER, sender.process, receiver, message, copy));
}

const COPY_MS = 30;

/** A message that its process has taken and whose handling was lost. It never left the queue: no network comes between. */
export function comeAgain(world: World, receiver: Instance, message: unknown, atMs: number): void {
  const { process, role, transaction: { system } } = receiver;
  const id = world.messages++;
  world.trace?.({
    atMs: world.nowMs, kind: 'send', id, from: process.name, to: process.name, sender: role.name, receiver: role.name, txid: system.txid,
    text: `${system.describe(message as Message)} again`,
  });
  world.queue.push(new Event(atMs, DELIVER, process, receiver, message, id));
}

function launch(world: World, { process, role, transaction }: Instance, receiver: Instance, message: Message): number {
  const id = world.messages++;
  world.trace?.({
    atMs: world.nowMs, kind: 'send', id, from: process.name, to: receiver.process.name, sender: role.name, receiver: receiver.role.name,
    txid: transaction.system.txid, text: transaction.system.describe(message),
  });
  return id;
}

/** The owner's, or (as long as there is one) that of a process which does not know that it was replaced. */
export function chooseInstance(world: World, instances: readonly Instance[]): Instance {
  const first = instances[0]!;
  const { site } = first.process;
  if (!site.shared) return first;
  if (!world.random.chance(world.faults.stray)) return instances[site.owner.index]!;
  const chosen = instances[world.random.below(instances.length)]!;
  const { process } = chosen;
  if (process === site.owner || !process.up || process.tenure === 0) return instances[site.owner.index]!;
  world.counts.wrongOwner += 1;
  return chosen;
}

function delayMs(world: World, from: Process, to: Process): number {
  const { faults, random } = world;
  const extraMs = faults.spreadMs > 0 ? random.exponential(faults.spreadMs) : 0;
  if (extraMs > 0) world.counts.delay += 1;
  return extraMs + latencyMs(world, from.site, to.site) * to.slowFactor;
}

function latencyMs({ faults, latency, random }: World, from: Site, to: Site): number {
  if (from === to) return SAME_SITE_MS;
  return latency === null ? faults.latencyMs : latency(from.name, to.name, random);
}

/** Whether a message that arrives now gets to its process; it is lost if not. */
export function arrives(world: World, { process, instance, n: id }: Event): boolean {
  const from = process!.site;
  const to = instance!.process;
  if (world.cuts && world.cut[from.index * world.sites.length + to.site.index] === 1) {
    world.trace?.({ atMs: world.nowMs, kind: 'lose', id, why: 'partition' });
    return false;
  }
  if (!to.up || to.tenure === 0) {
    world.trace?.({ atMs: world.nowMs, kind: 'lose', id, why: 'process down' });
    return false;
  }
  world.trace?.({ atMs: world.nowMs, kind: 'deliver', id });
  return true;
}

/** Messages from these sites to those no longer get through. */
export function cut(world: World, from: readonly Site[], to: readonly Site[]): void {
  for (const one of from) for (const other of to) if (one !== other) world.cut[one.index * world.sites.length + other.index] = 1;
  world.cuts = true;
  world.trace?.({ atMs: world.nowMs, kind: 'cut', from: from.map(({ name }) => name), to: to.map(({ name }) => name) });
}

/** Everybody hears everybody again. */
export function join(world: World): void {
  if (!world.cuts) return;
  world.cut.fill(0);
  world.cuts = false;
  world.trace?.({ atMs: world.nowMs, kind: 'join' });
}
