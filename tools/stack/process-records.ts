import fs from 'node:fs';
import path from 'node:path';
import { endProcesses, type OwnedProcess } from './end-process.ts';
import { identityOf, isRunning } from './process-identity.ts';
import type { Watchdog } from './watchdog.ts';

/**
 * Who runs on behalf of a data folder: one file each in `<data folder>/run/`, and the same to the watchdog. The watchdog acts when the
 * owner dies; the files let the next start find what even the watchdog did not end.
 */
export class ProcessRecords {
  private readonly dir: string;
  private readonly watchdog: Watchdog;
  private closed = false;

  constructor(dir: string, watchdog: Watchdog) {
    this.dir = dir;
    this.watchdog = watchdog;
  }

  /** Called right after the process was started. */
  add(started: Omit<OwnedProcess, 'identity'>): void {
    const identity = identityOf(started.pid);
    if (identity === null) return;
    // Started by a step that went on while its owner was stopping already.
    if (this.closed) return void process.kill(started.pid, 'SIGKILL');
    const owned: OwnedProcess = { ...started, identity };
    this.watchdog.guard(owned);
    fs.writeFileSync(this.file(owned.name), JSON.stringify(owned));
  }

  /** Called when the process has exited. */
  remove(name: string, pid: number): void {
    this.watchdog.release(pid);
    fs.rmSync(this.file(name), { force: true });
  }

  /** Ends everything that was not removed, and whatever is still added. */
  async close(): Promise<void> {
    this.closed = true;
    await this.watchdog.close();
  }

  private file(name: string): string {
    return path.join(this.dir, `${name}.json`);
  }
}

/** Ends what an earlier owner of the folder left running. Answers what it found. */
export async function endLeftovers(dir: string, log: (line: string) => void): Promise<void> {
  const records = fs.readdirSync(dir).filter((name) => name.endsWith('.json')).map((name) => path.join(dir, name));
  const alive = records.flatMap((file) => {
    const owned = parse(fs.readFileSync(file, 'utf8'));
    return owned !== null && isRunning(owned.pid, owned.identity) ? [owned] : [];
  });
  for (const owned of alive) log(`ending ${owned.name} (process ${owned.pid}), left over from an earlier start that was killed`);
  await endProcesses(alive);
  for (const file of records) fs.rmSync(file, { force: true });
}

function parse(text: string): OwnedProcess | null {
  try {
    return JSON.parse(text) as OwnedProcess;
  } catch {
    // Cut off in the middle of the write; its process was guarded before that.
    return null;
  }
}
