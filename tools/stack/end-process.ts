import { setTimeout as sleep } from 'node:timers/promises';
import { isRunning } from './process-identity.ts';

/** A process that must not outlive its owner, and how it wants to be ended. */
export interface OwnedProcess {
  readonly name: string;
  readonly pid: number;
  readonly identity: string;
  readonly signal: NodeJS.Signals;
  /** After this it gets SIGKILL. */
  readonly graceMs: number;
  /** Lower ones end first: services before the servers that they use. */
  readonly order: number;
}

const POLL_MS = 20;

/** Ends exactly that process, never one that got its pid later. */
export async function endProcess(owned: Pick<OwnedProcess, 'pid' | 'identity' | 'signal' | 'graceMs'>): Promise<void> {
  if (await signalAndWait(owned, owned.signal, owned.graceMs)) return;
  await signalAndWait(owned, 'SIGKILL', 5_000);
}

/** All of them, lower `order` first, those of one order together. */
export async function endProcesses(all: readonly OwnedProcess[]): Promise<void> {
  for (const order of [...new Set(all.map((owned) => owned.order))].sort((a, b) => a - b)) {
    await Promise.all(all.filter((owned) => owned.order === order).map(endProcess));
  }
}

async function signalAndWait({ pid, identity }: Pick<OwnedProcess, 'pid' | 'identity'>, signal: NodeJS.Signals, limitMs: number): Promise<boolean> {
  if (!isRunning(pid, identity)) return true;
  try {
    process.kill(pid, signal);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ESRCH') return true;
    throw error;
  }
  for (const deadline = Date.now() + limitMs; Date.now() < deadline; await sleep(POLL_MS)) {
    if (!isRunning(pid, identity)) return true;
  }
  return !isRunning(pid, identity);
}
