import { type ChildProcess, spawn } from 'node:child_process';
import fs from 'node:fs';
import type { ProcessRecords } from '../../tools/stack/process-records.ts';
import { serviceCommand } from '../../tools/stack/service-command.ts';
import { eventually } from './eventually.ts';

export interface ServiceProcessOptions {
  /** The app's folder. */
  readonly name: string;
  readonly instance: string;
  readonly url: string;
  readonly env: NodeJS.ProcessEnv;
  /** Where `arm` says at which crash point the process is to kill itself; null: it has no crash points. */
  readonly crashFile: string | null;
  readonly records: ProcessRecords | undefined;
}

export interface Death {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

interface Running {
  readonly child: ChildProcess;
  readonly death: Promise<Death>;
}

const STOP_GRACE_MS = 15_000;
const KEEP_LOG_CHARS = 200_000;

/** One service process, which can be armed, killed, stopped, resumed and started again. */
export class ServiceProcess {
  readonly name: string;
  readonly instance: string;
  readonly url: string;
  private readonly options: ServiceProcessOptions;
  private running: Running | null = null;
  private log = '';

  constructor(options: ServiceProcessOptions) {
    this.options = options;
    this.name = options.name;
    this.instance = options.instance;
    this.url = options.url;
  }

  get pid(): number | undefined {
    return this.running?.child.pid;
  }

  get output(): string {
    return this.log;
  }

  /** Also while it is paused. */
  get alive(): boolean {
    return this.running !== null && this.running.child.exitCode === null && this.running.child.signalCode === null;
  }

  /** How the process of the last `spawn` ends. */
  get death(): Promise<Death> {
    if (this.running === null) throw new Error(`${this.instance} was not started`);
    return this.running.death;
  }

  /** @param env in addition to what it always gets; an undefined value takes one away */
  spawn(env: NodeJS.ProcessEnv = {}): void {
    const { name, instance, crashFile, records } = this.options;
    const crash = crashFile === null ? {} : { CONCORDAT_CRASH_POINTS: 'on', CRASH_POINT: `file:${crashFile}` };
    const { command, args, options } = serviceCommand(name, { ...this.options.env, ...crash, ...env });
    const child = spawn(command, args, { ...options, stdio: ['ignore', 'pipe', 'pipe'], detached: records !== undefined });
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (bytes: Buffer) => { this.log = (this.log + bytes.toString()).slice(-KEEP_LOG_CHARS); });
    const { pid } = child;
    if (pid !== undefined) records?.add({ name: instance, pid, signal: 'SIGKILL', graceMs: 0, order: 1 });
    const death = new Promise<Death>((resolve) => {
      child.once('exit', (code, signal) => {
        if (pid !== undefined) records?.remove(instance, pid);
        resolve({ code, signal });
      });
    });
    this.running = { child, death };
  }

  /** Resolves when the service says that it is ready. */
  async ready(timeoutMs = 60_000): Promise<void> {
    await eventually(`${this.instance} ready at ${this.url}`, async () => {
      const child = this.running?.child;
      if (child === undefined || child.exitCode !== null || child.signalCode !== null) throw new Error(`${this.instance} ended (${child?.exitCode ?? child?.signalCode}):\n${this.log.slice(-4000)}`);
      const response = await fetch(`${this.url}/health/ready`);
      if (response.status !== 200) throw new Error(`${response.status} ${await response.text()}\n${this.log.slice(-2000)}`);
    }, timeoutMs);
  }

  async start(env: NodeJS.ProcessEnv = {}): Promise<void> {
    this.spawn(env);
    await this.ready();
  }

  /** A clean stop, then a start, perhaps with another environment. */
  async restart(env: NodeJS.ProcessEnv = {}): Promise<void> {
    await this.stop();
    await this.start(env);
  }

  /** No warning, no clean-up: SIGKILL, as a crash would. */
  async kill9(): Promise<void> {
    await this.end('SIGKILL');
  }

  async stop(): Promise<void> {
    await this.end('SIGTERM');
  }

  /** SIGSTOP: it keeps its connections and its memory, and does nothing. */
  pause(): void {
    if (this.alive) this.running!.child.kill('SIGSTOP');
  }

  resume(): void {
    if (this.alive) this.running!.child.kill('SIGCONT');
  }

  /** At its next time at this crash point (`name`, or `name#n` for the n-th time) the process kills itself with -9; once. */
  arm(point: string): void {
    const file = this.crashFile();
    fs.writeFileSync(`${file}.new`, point);
    fs.renameSync(`${file}.new`, file);
  }

  /** It has been armed, and has not come by that crash point yet. */
  get armed(): boolean {
    return fs.existsSync(this.crashFile());
  }

  disarm(): void {
    fs.rmSync(this.crashFile(), { force: true });
  }

  private crashFile(): string {
    if (this.options.crashFile === null) throw new Error('this cluster was started without crashPoints: true');
    return this.options.crashFile;
  }

  private async end(signal: NodeJS.Signals): Promise<void> {
    if (!this.alive) return;
    const { child, death } = this.running!;
    child.kill(signal);
    // Who is paused does not hear SIGTERM before.
    child.kill('SIGCONT');
    const hurry = setTimeout(() => child.kill('SIGKILL'), STOP_GRACE_MS);
    await death;
    clearTimeout(hurry);
  }
}
