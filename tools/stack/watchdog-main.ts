// Main program of the watchdog process: see watchdog.ts.
import { createInterface } from 'node:readline';
import { endProcesses, type OwnedProcess } from './end-process.ts';
import type { WatchdogLine } from './watchdog.ts';

// It must outlive whatever hits its owner's session.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => undefined);

const guarded = new Map<number, OwnedProcess>();
for await (const text of createInterface({ input: process.stdin })) {
  const line = JSON.parse(text) as WatchdogLine;
  if ('guard' in line) guarded.set(line.guard.pid, line.guard);
  else guarded.delete(line.release);
}
await endProcesses([...guarded.values()]);
