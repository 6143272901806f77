/** The group commit of a process: the records of all steps since the last one, in one database transaction; then what waits for it. */
import { recordText } from '../system.js';
import { addAnswer, checkWritten, noteHeld } from './checks.js';
import { crash } from './lifecycle.js';
import { Violation, type Instance, type Pending, type Process, type World } from './model.js';
import { comeAgain, send } from './network.js';
import { boot, forget, setTimers, step } from './steps.js';

export function flush(world: World, process: Process): void {
  const { random, faults, counts } = world;
  process.flush = null;
  if (random.chance(faults.crashBeforeFlush)) {
    counts.crashBeforeFlush += 1;
    return crash(world, process, 'before its flush');
  }
  const batch = process.pending;
  process.pending = [];
  if (random.chance(faults.flushFailure)) return tear(world, process, batch);
  const inputs = write(world, process, batch);
  if (random.chance(faults.crashAfterFlush)) {
    counts.crashAfterFlush += 1;
    return crash(world, process, 'after its flush', batch);
  }
  if (random.chance(faults.crashBetweenSends)) return sendSome(world, process, batch);
  for (const pending of batch) complete(world, pending);
  for (const { instance, input } of inputs) if (instance.refusedIn !== world.flushes) step(world, instance, input, null);
}

// ---------------------------------------------------------------- writing

interface Feedback {
  readonly instance: Instance;
  readonly input: unknown;
}

/** Answers the inputs that the store gives back, for after the sends. */
function write(world: World, process: Process, batch: readonly Pending[]): readonly Feedback[] {
  const number = ++world.flushes;
  const inputs: Feedback[] = [];
  let wrote = false;
  for (const pending of batch) {
    const { instance, result } = pending;
    if (result.records.length === 0) continue;
    wrote = true;
    if (instance.refusedIn === number || !writeStep(world, pending, inputs)) refuse(pending, number);
  }
  if (wrote) traceFlush(world, process, batch);
  if (process.site.stock < 0) throw new Violation(`STOCK: ${process.site.name} has taken more pieces than there were`);
  process.available = process.site.stock;
  for (const { instance: { transaction } } of batch) {
    if (transaction.touchedIn !== number) continue;
    transaction.touchedIn = -1;
    checkWritten(transaction);
  }
  return inputs;
}

/** Nothing of the step is written, the instance forgets the transaction, and what it still had to send is lost. */
function refuse(pending: Pending, flushNumber: number): void {
  pending.refused = true;
  pending.instance.refusedIn = flushNumber;
  forget(pending.instance);
}

/** All records of the step or none; false: none. */
function writeStep(world: World, { instance, result }: Pending, inputs: Feedback[]): boolean {
  const { transaction, role, index, process } = instance;
  const { site } = process;
  const { durables } = transaction.view;
  const fenced = site.shared && process.tenure !== site.tenure;
  const known = inputs.length;
  let durable = durables[index];
  for (const record of result.records) {
    const written = role.write(durable, record, fenced);
    if (written === 'refused') {
      inputs.length = known;
      return false;
    }
    durable = written.durable;
    if (written.input !== undefined) inputs.push({ instance, input: written.input });
  }
  durables[index] = durable;
  site.stock += result.stock ?? 0;
  transaction.touchedIn = world.flushes;
  noteHeld(world, transaction, index, durable);
  return true;
}

function traceFlush(world: World, process: Process, batch: readonly Pending[]): void {
  if (world.trace === null) return;
  const records = batch.flatMap(({ instance: { transaction, role }, result, refused }) => (
    result.records.map((record) => ({ txid: transaction.system.txid, role: role.name, text: recordText(role, record), refused }))
  ));
  world.trace({ atMs: world.nowMs, kind: 'flush', process: process.name, site: process.site.name, records });
}

/** The database transaction rolls back. The process goes on from its rows; the messages come again. */
function tear(world: World, process: Process, batch: readonly Pending[]): void {
  world.counts.flushFailure += 1;
  for (const pending of batch) pending.refused = true;
  traceFlush(world, process, batch);
  process.available = process.site.stock;
  const torn = new Set<Instance>();
  for (const { instance, message } of batch) {
    torn.add(instance);
    if (message !== null) comeAgain(world, instance, message, world.nowMs + world.random.exponential(REDELIVERY_MS));
  }
  for (const instance of torn) {
    forget(instance);
    boot(world, instance);
  }
}

const REDELIVERY_MS = 10;

// ---------------------------------------------------------------- what waits for the flush

function complete(world: World, { instance, result }: Pending): void {
  if (instance.refusedIn === world.flushes) return;
  send(world, instance, result.messages);
  setTimers(world, instance, result.timers);
  tell(world, instance, result.state);
}

function tell(world: World, instance: Instance, state: unknown): void {
  if (instance.told || instance.role.answer === undefined) return;
  const outcome = instance.role.answer(state);
  if (outcome === null) return;
  instance.told = true;
  addAnswer(world, instance, outcome);
  const { client } = instance.transaction;
  if (!instance.waiting || client.done) return;
  if (world.random.chance(world.faults.loss)) world.counts.loss += 1;
  else client.done = true;
}

/** A crash between two sends or right after the last: the messages of some steps, and of the step at hand some. */
function sendSome(world: World, process: Process, batch: readonly Pending[]): void {
  let left = 0;
  for (const { result } of batch) left += result.messages.length;
  if (left > 0) left = 1 + world.random.below(left);
  for (const pending of batch) {
    const { instance, result } = pending;
    if (instance.refusedIn === world.flushes) continue;
    if (result.messages.length > left) {
      send(world, instance, result.messages.slice(0, left));
      break;
    }
    left -= result.messages.length;
    complete(world, pending);
  }
  world.counts.crashBetweenSends += 1;
  crash(world, process, 'between sends', batch);
}
