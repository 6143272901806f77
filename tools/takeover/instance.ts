import { type ChildProcess, spawn } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import type { DataDir } from '../stack/data-dir.ts';
import { SetupError } from '../stack/setup-error.ts';

const STOP_LIMIT_MS = 20_000;
const READY_LIMIT_MS = 120_000;

/** One process of a service that may be killed, stopped and started again, under one name. */
export class Instance {
  readonly service: string;
  /** INSTANCE_ID. */
  readonly name: string;
  readonly url: string;
  private readonly env: NodeJS.ProcessEnv;
  private readonly dataDir: DataDir;
  private child: { readonly process: ChildProcess; readonly exited: Promise<void> } | null = null;

  constructor(service: string, name: string, url: string, env: NodeJS.ProcessEnv, dataDir: DataDir) {
    this.service = service;
    this.name = name;
    this.url = url;
    this.env = env;
    this.dataDir = dataDir;
  }

  get running(): boolean {
    return this.child !== null;
  }

  spawn(): void {
    const main = fileURLToPath(new URL(`../../dist/apps/${this.service}/src/main.js`, import.meta.url));
    const log = fs.openSync(this.dataDir.file('logs', `${this.name}.log`), 'a');
    const child = spawn(process.execPath, ['--enable-source-maps', main], { cwd: path.resolve(main, '../../../../..'), env: { ...this.env, INSTANCE_ID: this.name }, stdio: ['ignore', log, log] });
    fs.closeSync(log);
    const { pid } = child;
    const exited = new Promise<void>((resolve) => {
      child.once('error', () => resolve());
      child.once('exit', () => {
        if (pid !== undefined) this.dataDir.records.remove(this.name, pid);
        this.child = null;
        resolve();
      });
    });
    if (pid !== undefined) this.dataDir.records.add({ name: this.name, pid, signal: 'SIGTERM', graceMs: 5_000, order: 1 });
    this.child = { process: child, exited };
  }

  /** @throws SetupError SERVICE_FAILED */
  async ready(): Promise<void> {
    let problem = '';
    for (const deadline = Date.now() + READY_LIMIT_MS; Date.now() < deadline; await sleep(25)) {
      if (!this.running) throw new SetupError('SERVICE_FAILED', `${this.name} has ended; its log is ${this.dataDir.file('logs', `${this.name}.log`)}`);
      try {
        const response = await fetch(`${this.url}/health/ready`, { signal: AbortSignal.timeout(2_000) });
        if (response.ok) return;
        problem = await response.text();
      } catch (error) {
        problem = (error as Error).message;
      }
    }
    throw new SetupError('SERVICE_FAILED', `${this.name} is not ready after ${READY_LIMIT_MS / 1000} s: ${problem}`);
  }

  /** No warning: as a crash. Answers the moment. */
  async kill9(): Promise<number> {
    const { child } = this;
    const at = Date.now();
    child?.process.kill('SIGKILL');
    await child?.exited;
    return at;
  }

  /** Sends SIGTERM and answers the moment; `exited` resolves when the process is gone, at the latest after 20 s. */
  stop(): { readonly at: number; readonly exited: Promise<void> } {
    const { child } = this;
    const at = Date.now();
    if (child === null) return { at, exited: Promise.resolve() };
    child.process.kill('SIGTERM');
    const hurry = setTimeout(() => child.process.kill('SIGKILL'), STOP_LIMIT_MS);
    return { at, exited: child.exited.finally(() => clearTimeout(hurry)) };
  }
}
