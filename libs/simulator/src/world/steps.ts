/** Machines take inputs: steps, their timers, and how processes start. */
import type { TimerChange } from '#libs/protocol';
import { Event, FLUSH, TIMER, type Instance, type Process, type World } from './model.js';

/** The machine takes an input; what it owes waits for the next flush of the process. */
export function step(world: World, instance: Instance, input: unknown, message: unknown): void {
  const { process, role } = instance;
  const { around, trace } = world;
  around.nowMs = Math.floor(world.nowMs + process.skewMs);
  around.tenure = process.site.shared ? process.tenure : 1;
  around.available = process.available;
  const before = instance.state;
  const result = role.step(before, input, around);
  instance.state = result.state;
  if (trace !== null) {
    trace({
      atMs: world.nowMs, kind: 'step', process: process.name, role: role.name, txid: instance.transaction.system.txid, input: inputText(instance, input),
      before: role.label(before), after: role.label(result.state),
    });
  }
  const owes = result.records.length > 0 || result.messages.length > 0 || result.timers.length > 0 || hasAnswer(instance);
  if (!owes) return;
  process.available += result.stock ?? 0;
  process.pending.push({ instance, result, message, refused: false });
  if (process.flush === null) scheduleFlush(world, process);
}

function hasAnswer({ role, told, state }: Instance): boolean {
  return !told && role.answer !== undefined && role.answer(state) !== null;
}

function scheduleFlush(world: World, process: Process): void {
  const delayMs = world.flushMs * (0.5 + world.random.next()) * process.slowFactor;
  process.flush = new Event(world.nowMs + delayMs, FLUSH, process, null, null, 0);
  world.queue.push(process.flush);
}

function inputText({ transaction }: Instance, input: unknown): string {
  const { kind, message, timer } = input as { readonly kind: string; readonly message?: { readonly kind: string }; readonly timer?: string };
  if (kind === 'MESSAGE') return transaction.system.describe(message!);
  return kind === 'TIMER' ? `timer ${timer}` : kind;
}

// ---------------------------------------------------------------- timers

export function setTimers(world: World, instance: Instance, changes: readonly TimerChange<string>[]): void {
  for (const change of changes) {
    if ('cancel' in change) cancelTimer(instance, change.cancel);
    else setTimer(world, instance, change.set, change.atMs, change.attempt);
  }
}

function setTimer(world: World, instance: Instance, name: string, atMs: number, attempt: number): void {
  cancelTimer(instance, name);
  const event = new Event(Math.max(world.nowMs, hurried(world, atMs - instance.process.skewMs)), TIMER, instance.process, instance, name, attempt);
  instance.timers.push(event);
  world.queue.push(event);
}

function hurried({ random, faults: { hasty }, healed, nowMs, counts }: World, atMs: number): number {
  if (hasty === 0 || healed || atMs <= nowMs || !random.chance(hasty)) return atMs;
  counts.hastyTimer += 1;
  return nowMs + (atMs - nowMs) * random.next();
}

function cancelTimer({ timers }: Instance, name: string): void {
  for (let i = 0; i < timers.length; i++) {
    if (timers[i]!.data !== name) continue;
    timers[i]!.cancelled = true;
    timers[i] = timers[timers.length - 1]!;
    timers.pop();
    return;
  }
}

export function fire(world: World, { instance, data, n: attempt }: Event): void {
  const { timers } = instance!;
  const at = timers.findIndex((timer) => timer.data === data);
  timers[at] = timers[timers.length - 1]!;
  timers.pop();
  step(world, instance!, { kind: 'TIMER', timer: data, attempt }, null);
}

/** The clock of the process jumps, and what is set by it comes sooner or later by as much. */
export function jumpClock(world: World, process: Process, jumpMs: number): void {
  process.skewMs += jumpMs;
  world.trace?.({ atMs: world.nowMs, kind: 'clock', process: process.name, jumpMs });
  for (const { timers } of process.instances) {
    for (let i = 0; i < timers.length; i++) {
      const { atMs, instance, data, n } = timers[i]!;
      timers[i]!.cancelled = true;
      timers[i] = new Event(Math.max(world.nowMs, atMs - jumpMs), TIMER, process, instance, data, n);
      world.queue.push(timers[i]!);
    }
  }
}

// ---------------------------------------------------------------- memory

/** The instance knows nothing of its transaction any more. */
export function forget(instance: Instance): void {
  for (const timer of instance.timers) timer.cancelled = true;
  instance.timers.length = 0;
  instance.state = null;
  instance.told = false;
  instance.waiting = false;
}

export function forgetAll(process: Process): void {
  for (const instance of process.instances) forget(instance);
  process.pending.length = 0;
  if (process.flush !== null) process.flush.cancelled = true;
  process.flush = null;
  process.available = process.site.stock;
}

/** Starts from what is durable. */
export function boot(world: World, instance: Instance): void {
  const { state, input } = instance.role.boot(instance.transaction.view.durables[instance.index] ?? null);
  instance.state = state;
  if (input !== null) step(world, instance, input, null);
}

export function bootAll(world: World, process: Process): void {
  for (const instance of process.instances) boot(world, instance);
}
