import { type ChildProcess, spawn } from 'node:child_process';
import fs from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { problemOf } from './ready.ts';
import type { DataDir } from '../stack/data-dir.ts';
import { serviceCommand } from '../stack/service-command.ts';
import { SetupError } from '../stack/setup-error.ts';

const STOP_GRACE_MS = 15_000;
/** A process that ended by itself is started again after this. */
const RESTART_AFTER_MS = 500;
const READY_LIMIT_MS = 120_000;
const HEALTH_LIMIT_MS = 3_000;

/** A process that ended although nobody had ended it. */
export interface UnaskedEnd {
  readonly process: string;
  readonly how: string;
  /** Whether it had ever been ready since its start. */
  readonly wasReady: boolean;
  readonly atMs: number;
  /** The end of its log. */
  readonly lastLines: readonly string[];
}

interface Options {
  readonly name: string;
  /** The app's folder. */
  readonly service: string;
  readonly url: string;
  readonly env: NodeJS.ProcessEnv;
  readonly dataDir: DataDir;
  /** Given: it is started again, as a supervisor would. */
  readonly onUnaskedEnd?: (end: UnaskedEnd) => void;
}

/** One service process from dist/, which can be killed, stopped and started; its log is `logs/<name>.log` of the data folder. */
export class ServiceProcess {
  readonly name: string;
  /** The app's folder. */
  readonly service: string;
  readonly url: string;
  private readonly options: Options;
  private readonly logFile: string;
  private child: { readonly process: ChildProcess; readonly exited: Promise<void> } | null = null;
  private wanted = false;
  private wasReady = false;
  private logStart = 0;

  constructor(options: Options) {
    this.options = options;
    this.name = options.name;
    this.service = options.service;
    this.url = options.url;
    this.logFile = options.dataDir.file('logs', `${options.name}.log`);
  }

  get pid(): number | null {
    return this.child?.process.pid ?? null;
  }

  start(): void {
    this.wanted = true;
    if (this.child !== null) return;
    const { command, args, options } = serviceCommand(this.service, this.options.env);
    const log = fs.openSync(this.logFile, 'a');
    this.logStart = fs.fstatSync(log).size;
    const child = spawn(command, args, { ...options, detached: true, stdio: ['ignore', log, log] });
    fs.closeSync(log);
    const exited = new Promise<void>((resolve) => {
      child.once('error', () => resolve()).once('exit', (code, signal) => {
        if (child.pid !== undefined) this.options.dataDir.records.remove(this.name, child.pid);
        if (this.child?.process === child) this.child = null;
        resolve();
        if (this.wanted && this.options.onUnaskedEnd !== undefined) this.endedUnasked(code ?? signal, this.options.onUnaskedEnd);
      });
    });
    if (child.pid === undefined) throw new SetupError('SERVICE_FAILED', `${this.name} cannot be started`);
    this.child = { process: child, exited };
    this.wasReady = false;
    this.options.dataDir.records.add({ name: this.name, pid: child.pid, signal: 'SIGKILL', graceMs: 5_000, order: 1 });
  }

  kill9(): Promise<void> {
    return this.end('SIGKILL');
  }

  terminate(): Promise<void> {
    return this.end('SIGTERM');
  }

  /** SIGSTOP: it does nothing at all until `resume`. */
  pause(): void {
    this.child?.process.kill('SIGSTOP');
  }

  resume(): void {
    this.child?.process.kill('SIGCONT');
  }

  /** What `/health/ready` says is missing; null when it is ready. */
  async problem(): Promise<string | null> {
    const problem = await problemOf(this.url, HEALTH_LIMIT_MS);
    this.wasReady ||= problem === null;
    return problem;
  }

  /** @throws SetupError SERVICE_FAILED with the end of its log */
  async ready(limitMs = READY_LIMIT_MS): Promise<void> {
    let problem: string | null = null;
    for (const deadline = Date.now() + limitMs; Date.now() < deadline; await sleep(100)) {
      problem = await this.problem();
      if (problem === null) return;
      if (this.child === null && this.options.onUnaskedEnd === undefined) throw new SetupError('SERVICE_FAILED', `${this.name} has ended; its log is ${this.logFile}, and ends:\n${this.lastLines(12).join('\n')}`);
    }
    throw new SetupError('SERVICE_FAILED', `${this.name} was not ready after ${limitMs / 1000} s: ${problem}; its log is ${this.logFile}, and ends:\n${this.lastLines(12).join('\n')}`);
  }

  /** Of what it wrote since its last start. */
  lastLines(count: number): readonly string[] {
    const size = (fs.existsSync(this.logFile) ? fs.statSync(this.logFile).size : 0) - this.logStart;
    if (size <= 0) return [];
    const fd = fs.openSync(this.logFile, 'r');
    try {
      const bytes = Buffer.alloc(Math.min(size, 64_000));
      fs.readSync(fd, bytes, 0, bytes.length, this.logStart + size - bytes.length);
      return bytes.toString('utf8').trim().split('\n').slice(-count).map((line) => line.slice(0, 500));
    } finally {
      fs.closeSync(fd);
    }
  }

  private async end(signal: NodeJS.Signals): Promise<void> {
    this.wanted = false;
    const child = this.child;
    if (child === null) return;
    child.process.kill(signal);
    // A process that is stopped takes no other signal than this one.
    const hurry = setTimeout(() => child.process.kill('SIGKILL'), STOP_GRACE_MS);
    await child.exited;
    clearTimeout(hurry);
  }

  private endedUnasked(how: number | string | null, tell: (end: UnaskedEnd) => void): void {
    tell({ process: this.name, how: String(how), wasReady: this.wasReady, atMs: Date.now(), lastLines: this.lastLines(8) });
    setTimeout(() => { if (this.wanted) this.start(); }, RESTART_AFTER_MS);
  }
}
