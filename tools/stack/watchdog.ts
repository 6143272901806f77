import { type ChildProcess, spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import type { OwnedProcess } from './end-process.ts';

/** What goes down the pipe, one JSON object a line. */
export type WatchdogLine = { readonly guard: OwnedProcess } | { readonly release: number };

/**
 * A small process in a session of its own that holds the other end of a pipe from this one. The pipe ends when this process
 * does, also by kill -9; then the watchdog ends everything that is still guarded.
 */
export class Watchdog {
  private readonly child: ChildProcess;
  private readonly exited: Promise<void>;

  constructor() {
    const main = fileURLToPath(new URL('./watchdog-main.ts', import.meta.url));
    this.child = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', main], { detached: true, stdio: ['pipe', 'ignore', 'ignore'], cwd: '/', env: {} });
    this.exited = new Promise((resolve) => { this.child.once('exit', () => resolve()).once('error', () => resolve()); });
    // A dead watchdog costs the safety net only: the records in the data folder still name every process.
    this.child.stdin!.on('error', () => undefined);
    this.child.unref();
    (this.child.stdin as unknown as { unref(): void }).unref();
  }

  guard(owned: OwnedProcess): void {
    this.send({ guard: owned });
  }

  release(pid: number): void {
    this.send({ release: pid });
  }

  /** Ends the watchdog, and through it whatever was not released. */
  async close(): Promise<void> {
    this.child.ref();
    this.child.stdin!.end();
    await this.exited;
  }

  private send(line: WatchdogLine): void {
    this.child.stdin!.write(`${JSON.stringify(line)}\n`);
  }
}
