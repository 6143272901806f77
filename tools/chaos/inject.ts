// Does to the cluster what the schedule says, and undoes it.
import { setTimeout as sleep } from 'node:timers/promises';
import { isRunning, identityOf } from '../stack/process-identity.ts';
import type { ChaosCluster } from './cluster.ts';
import type { ProxyMode } from './proxy.ts';
import type { Fault, ServerName } from './schedule.ts';

/** A fault as it came about; times in milliseconds since the start of the load. */
export interface InjectedFault {
  readonly fault: Fault;
  readonly beganMs: number;
  /** When it was undone: processes started (not ready yet), connections open again. */
  readonly endedMs: number;
  /** What went wrong with doing it. */
  readonly error: string | null;
}

export interface InjectOptions {
  readonly cluster: ChaosCluster;
  readonly faults: readonly Fault[];
  /** Milliseconds since the start of the load. */
  readonly now: () => number;
  readonly signal: AbortSignal;
  readonly onBegin: (fault: Fault) => void;
  readonly onEnd: (injected: InjectedFault) => void;
}

/** Resolves when the last fault is undone, or soon after the signal. */
export async function injectFaults(options: InjectOptions): Promise<readonly InjectedFault[]> {
  const injected: InjectedFault[] = [];
  const turns = { postgres: Promise.resolve(), kafka: Promise.resolve() };
  await Promise.all(options.faults.map(async (fault) => {
    await wait(fault.atMs - options.now(), options.signal);
    // On a slow machine a server may still be starting when its next fault is due.
    const done = fault.kind === 'server' ? await takeTurn(turns, fault.server!) : null;
    if (options.signal.aborted) return done?.();
    options.onBegin(fault);
    const beganMs = options.now();
    let error: string | null = null;
    try {
      await doFault(options.cluster, fault, options.signal);
    } catch (caught) {
      error = (caught as Error).message;
    }
    done?.();
    const entry = { fault, beganMs, endedMs: options.now(), error };
    injected.push(entry);
    options.onEnd(entry);
  }));
  return injected.sort((a, b) => a.fault.n - b.fault.n);
}

/** Resolves when the one before has let go; to be called when done. */
async function takeTurn(turns: Record<ServerName, Promise<void>>, server: ServerName): Promise<() => void> {
  const before = turns[server];
  let done!: () => void;
  turns[server] = new Promise((resolve) => { done = resolve; });
  await before;
  return done;
}

async function doFault(cluster: ChaosCluster, fault: Fault, signal: AbortSignal): Promise<void> {
  const processes = fault.processes.map((name) => cluster.process(name));
  switch (fault.kind) {
    case 'kill':
    case 'terminate':
      await Promise.all(processes.map((process) => (fault.kind === 'kill' ? process.kill9() : process.terminate())));
      await wait(fault.forMs, signal);
      for (const process of processes) process.start();
      return;
    case 'stop':
      for (const process of processes) process.pause();
      await wait(fault.forMs, signal);
      for (const process of processes) process.resume();
      return;
    case 'server':
      await endServer(cluster, fault);
      await wait(fault.forMs, signal);
      await cluster[fault.server!].start();
      return;
    case 'cut':
    case 'freeze':
      return disturb(cluster, fault, { kind: fault.kind }, signal);
    case 'delay':
      return disturb(cluster, fault, { kind: 'delay', delayMs: fault.delayMs! }, signal);
  }
}

async function endServer({ postgres, kafka }: ChaosCluster, { server, how }: Fault): Promise<void> {
  if (how === 'kill-9') return server === 'postgres' ? postgres.kill9() : kafka.kill9();
  if (server === 'kafka') return kafka.stop();
  if (how === 'immediate') await quit(postgres.pid);
  // Also makes sure that the end has been noticed.
  await postgres.stop();
}

/** Postgres' immediate shutdown: no checkpoint, so that the next start recovers from the log. */
async function quit(pid: number): Promise<void> {
  const identity = identityOf(pid);
  if (identity === null) return;
  process.kill(pid, 'SIGQUIT');
  for (const deadline = Date.now() + 10_000; isRunning(pid, identity) && Date.now() < deadline;) await sleep(20);
}

async function disturb(cluster: ChaosCluster, { processes, server, forMs }: Fault, mode: ProxyMode, signal: AbortSignal): Promise<void> {
  const proxies = processes.map((name) => cluster.proxy(name, server!));
  await Promise.all(proxies.map((proxy) => proxy.set(mode)));
  await wait(forMs, signal);
  await Promise.all(proxies.map((proxy) => proxy.set({ kind: 'pass' })));
}

async function wait(ms: number, signal: AbortSignal): Promise<void> {
  try {
    await sleep(Math.max(0, ms), undefined, { signal });
  } catch {
    // Told to end: what was done is undone at once.
  }
}
