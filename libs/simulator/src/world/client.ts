/** Clients: each asks for one transaction, repeats its request when it hears nothing, and may cancel. */
import { CLIENT, COMMAND, Event, REQUEST, type Process, type Transaction, type World } from './model.js';
import { chooseInstance } from './network.js';
import { step } from './steps.js';

const RETRY_MS = 1000;

interface Command {
  readonly kind: string;
}

/** The client sends its request, and sees to it that it will again. */
export function request(world: World, transaction: Transaction): void {
  const { client } = transaction;
  const { random, faults } = world;
  if (client.done) return;
  if (client.triesLeft === 0) {
    client.done = true;
    return tellClient(world, transaction, 'gives up');
  }
  client.triesLeft -= 1;
  const process = chooseProcess(world, client.tries > 0);
  client.tries += 1;
  tellClient(world, transaction, 'asks', process);
  if (random.chance(faults.loss)) world.counts.loss += 1;
  else world.queue.push(new Event(world.nowMs + faults.latencyMs, REQUEST, process, null, transaction, 0));
  world.queue.push(new Event(world.nowMs + RETRY_MS * (0.5 + random.next()), CLIENT, null, null, transaction, 0));
}

function chooseProcess({ random, faults, coordinator, counts }: World, again: boolean): Process {
  const { processes, owner } = coordinator;
  if (!again || processes.length === 1 || !random.chance(faults.retryElsewhere)) return owner;
  const chosen = processes[random.below(processes.length)]!;
  if (chosen !== owner) counts.retryElsewhere += 1;
  return chosen;
}

/** Who knows the outcome tells it; who has the transaction lets the client wait; who has not begins it, if the store agrees. */
export function receiveRequest(world: World, process: Process, transaction: Transaction): void {
  const { client, system, view, startAt } = transaction;
  if (!process.up || process.tenure === 0 || client.done) return;
  if (world.healed && process === world.coordinator.owner) client.receivedInPeace = true;
  const { read } = system.roles[startAt]!;
  const outcome = read?.(view.durables[startAt] ?? null) ?? null;
  if (outcome !== null) {
    client.done = true;
    return tellClient(world, transaction, `is told: ${outcome}`, process);
  }
  const instance = transaction.instances[startAt]![process.index]!;
  instance.waiting = true;
  if (instance.state === null) step(world, instance, system.start.input, null);
}

/** The client's own cancellation. */
export function cancel(world: World, transaction: Transaction): void {
  const input = (transaction.system.commands as readonly Command[]).find(({ kind }) => kind === 'CANCEL');
  if (input === undefined || !command(world, transaction, input)) return;
  world.counts.cancel += 1;
}

/** An operator's command. */
export function operate(world: World, transaction: Transaction): void {
  const { commands } = transaction.system;
  if (commands.length === 0) return;
  const input = commands[world.random.below(commands.length)] as Command;
  if (command(world, transaction, input)) world.counts.command += 1;
}

/** False: nobody has the transaction in memory. */
function command(world: World, transaction: Transaction, input: Command): boolean {
  const instance = chooseInstance(world, transaction.instances[transaction.startAt]!);
  if (instance.state === null) return false;
  tellClient(world, transaction, input.kind, instance.process);
  step(world, instance, input, null);
  return true;
}

function tellClient({ trace, nowMs }: World, { system: { txid } }: Transaction, text: string, process?: Process): void {
  trace?.({ atMs: nowMs, kind: 'client', txid, text: process === undefined ? text : `${text} (${process.name})` });
}

/** Plans the requests and the cancellation of a transaction. */
export function plan(world: World, transaction: Transaction): void {
  const { client } = transaction;
  const { random, faults, queue } = world;
  queue.push(new Event(client.startsAtMs, CLIENT, null, null, transaction, 0));
  if (random.chance(faults.cancel)) queue.push(new Event(client.startsAtMs + random.exponential(CANCEL_MS), COMMAND, null, null, transaction, 0));
}

const CANCEL_MS = 60;
