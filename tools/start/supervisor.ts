import { type ChildProcess, spawn } from 'node:child_process';
import { endProcess } from '../stack/end-process.ts';
import { identityOf } from '../stack/process-identity.ts';
import type { ProcessRecords } from '../stack/process-records.ts';
import { serviceCommand } from '../stack/service-command.ts';
import { SetupError } from '../stack/setup-error.ts';
import type { LogLines } from './log-lines.ts';

const FIRST_BACKOFF_MS = 500;
const MAX_BACKOFF_MS = 15_000;
/** Who ran this long starts over with the shortest backoff. */
const STEADY_MS = 30_000;
const STOP_GRACE_MS = 15_000;
/** For one without its supervisor: nobody waits for its answers any more, and a crash loses nothing. */
const ORPHAN_GRACE_MS = 5_000;
/** runMain's exit code for a configuration that no restart will mend. */
const INVALID_CONFIGURATION = 2;

interface Running {
  readonly child: ChildProcess;
  readonly pid: number;
  readonly identity: string;
  readonly exited: Promise<void>;
}

/** Keeps service processes running: one that ends is started again, after a pause that doubles. */
export class Supervisor {
  private readonly running = new Map<string, Running>();
  private readonly timers = new Set<NodeJS.Timeout>();
  private readonly options: { readonly records: ProcessRecords; readonly lines: LogLines; readonly env: NodeJS.ProcessEnv; readonly onFatal: (error: Error) => void };
  private stopping = false;

  constructor(options: Supervisor['options']) {
    this.options = options;
  }

  /** Starts `dist/apps/<name>/src/main.js` and goes on starting it until `stop`. */
  start(name: string, backoffMs = FIRST_BACKOFF_MS): void {
    const { command, args, options } = serviceCommand(name, this.options.env);
    const began = Date.now();
    const child = spawn(command, args, { ...options, detached: true, stdio: ['ignore', 'pipe', 'pipe'] });
    let lastLine = '';
    for (const stream of [child.stdout, child.stderr]) {
      const write = this.options.lines.splitter(name);
      stream.setEncoding('utf8').on('data', (chunk: string) => {
        lastLine = chunk.trim().split('\n').at(-1) || lastLine;
        write(chunk);
      });
    }
    const exited = new Promise<void>((resolve) => {
      child.once('error', (error) => { this.options.onFatal(new SetupError('SERVICE_FAILED', `${name} cannot be started: ${error.message}`)); resolve(); });
      child.once('close', (code, signal) => {
        if (child.pid !== undefined) this.options.records.remove(name, child.pid);
        this.running.delete(name);
        resolve();
        if (!this.stopping) this.ended(name, code === INVALID_CONFIGURATION ? lastLine : null, code ?? signal, Date.now() - began > STEADY_MS ? FIRST_BACKOFF_MS : backoffMs);
      });
    });
    if (child.pid === undefined) return;
    this.running.set(name, { child, pid: child.pid, identity: identityOf(child.pid) ?? '', exited });
    this.options.records.add({ name, pid: child.pid, signal: 'SIGTERM', graceMs: ORPHAN_GRACE_MS, order: 1 });
  }

  /** Of the process that runs now, if one does. */
  pidOf(name: string): number | undefined {
    return this.running.get(name)?.pid;
  }

  /** Ends all of them cleanly; who does not within 15 s gets SIGKILL. */
  async stop(): Promise<void> {
    this.stopping = true;
    for (const timer of this.timers) clearTimeout(timer);
    await Promise.all([...this.running.values()].map(async ({ pid, identity, exited }) => {
      await endProcess({ pid, identity, signal: 'SIGTERM', graceMs: STOP_GRACE_MS });
      await exited;
    }));
  }

  private ended(name: string, invalid: string | null, how: number | string | null, backoffMs: number): void {
    if (invalid !== null) return this.options.onFatal(new SetupError('INVALID_CONFIGURATION', invalid));
    this.options.lines.write(name, `ended (${how}); starting it again in ${backoffMs / 1000} s`);
    const timer = setTimeout(() => {
      this.timers.delete(timer);
      this.start(name, Math.min(backoffMs * 2, MAX_BACKOFF_MS));
    }, backoffMs);
    this.timers.add(timer);
  }
}
