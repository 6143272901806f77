import { type ChildProcess, spawn } from 'node:child_process';
import fs from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { endProcess } from './end-process.ts';
import { identityOf } from './process-identity.ts';
import type { ProcessRecords } from './process-records.ts';
import { SetupError } from './setup-error.ts';

export interface ServerCommand {
  readonly command: string;
  readonly args: readonly string[];
  readonly cwd: string;
  readonly env?: NodeJS.ProcessEnv;
  readonly uid?: number;
  readonly gid?: number;
}

export interface ServerSpec {
  readonly name: string;
  readonly logFile: string;
  readonly records: ProcessRecords;
  readonly command: () => ServerCommand;
  /** Looked at every 25 ms; `logged` is what this run wrote so far. */
  readonly isReady: (pid: number, logged: string) => boolean;
  readonly stopSignal: NodeJS.Signals;
  readonly stopGraceMs: number;
  readonly stopOrder: number;
  readonly startLimitMs: number;
}

const KEEP_LOG_BYTES = 5_000_000;

/**
 * A server as a child process in its own session (Ctrl-C in the terminal reaches its owner only, who stops things in order), writing
 * to a log file (which, unlike a pipe, outlives the owner).
 */
export class ServerProcess {
  private readonly spec: ServerSpec;
  private child: { readonly process: ChildProcess; readonly pid: number; readonly identity: string; readonly exited: Promise<void> } | null = null;

  constructor(spec: ServerSpec) {
    this.spec = spec;
  }

  /** @throws Error when it is not running */
  get pid(): number {
    if (this.child === null) throw new Error(`${this.spec.name} is not running`);
    return this.child.pid;
  }

  get running(): boolean {
    return this.child !== null;
  }

  /** Resolves when the server is ready. @throws SetupError SERVER_FAILED with the end of its log */
  async start(): Promise<void> {
    if (this.child !== null) return;
    const { spec } = this;
    rotate(spec.logFile);
    const logStart = sizeOf(spec.logFile);
    const child = this.spawn();
    const logged = (): string => readFrom(spec.logFile, logStart);
    for (const deadline = Date.now() + spec.startLimitMs; Date.now() < deadline; await sleep(25)) {
      if (child.process.exitCode !== null || child.process.signalCode !== null) throw this.failed(`exited (${child.process.exitCode ?? child.process.signalCode}) while starting`, logged());
      if (spec.isReady(child.pid, logged())) return;
    }
    await this.stop();
    throw this.failed(`was not ready after ${spec.startLimitMs / 1000} s`, logged());
  }

  /** Ends it in its clean way, or by SIGKILL after `stopGraceMs`. Answers whether the clean way was enough. */
  async stop(): Promise<boolean> {
    const signal = await this.end(this.spec.stopSignal, this.spec.stopGraceMs);
    return signal !== 'SIGKILL';
  }

  async kill9(): Promise<void> {
    await this.end('SIGKILL', 0);
  }

  private async end(signal: NodeJS.Signals, graceMs: number): Promise<NodeJS.Signals | null> {
    const child = this.child;
    if (child === null) return null;
    child.process.ref();
    await endProcess({ pid: child.pid, identity: child.identity, signal, graceMs });
    await child.exited;
    return child.process.signalCode;
  }

  private spawn(): NonNullable<ServerProcess['child']> {
    const { spec } = this;
    const { command, args, ...options } = spec.command();
    const log = fs.openSync(spec.logFile, 'a');
    let process: ChildProcess;
    try {
      process = spawn(command, args, { ...options, detached: true, stdio: ['ignore', log, log] });
    } finally {
      fs.closeSync(log);
    }
    const { pid } = process;
    const exited = new Promise<void>((resolve) => process.once('exit', () => resolve()).once('error', () => resolve()));
    if (pid === undefined) throw this.failed(`cannot be started (${command})`, '');
    const child = { process, pid, identity: identityOf(pid) ?? '', exited };
    spec.records.add({ name: spec.name, pid, signal: spec.stopSignal, graceMs: spec.stopGraceMs, order: spec.stopOrder });
    this.child = child;
    process.once('exit', () => {
      spec.records.remove(spec.name, pid);
      if (this.child === child) this.child = null;
    });
    process.unref();
    return child;
  }

  private failed(what: string, logged: string): SetupError {
    const tail = logged.trim().split('\n').slice(-12).join('\n');
    return new SetupError('SERVER_FAILED', `${this.spec.name} ${what}; its log is ${this.spec.logFile}${tail === '' ? '' : `, and ends:\n${tail}`}`);
  }
}

function sizeOf(file: string): number {
  return fs.existsSync(file) ? fs.statSync(file).size : 0;
}

function rotate(file: string): void {
  if (sizeOf(file) > KEEP_LOG_BYTES) fs.renameSync(file, `${file}.1`);
}

function readFrom(file: string, start: number): string {
  const size = sizeOf(file);
  if (size <= start) return '';
  const fd = fs.openSync(file, 'r');
  try {
    const bytes = Buffer.alloc(Math.min(size - start, 200_000));
    fs.readSync(fd, bytes, 0, bytes.length, size - bytes.length);
    return bytes.toString('utf8');
  } finally {
    fs.closeSync(fd);
  }
}
