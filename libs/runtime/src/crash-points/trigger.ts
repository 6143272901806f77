import fs from 'node:fs';
import { allCrashPoints, parseCrashPoint } from './names.js';

type Env = Readonly<Record<string, string | undefined>>;

/** The environment asks for crash points where or how there can be none. The message is one line for people. */
export class CrashPointError extends Error {
  readonly code = 'INVALID_CONFIGURATION';
  constructor(message: string) {
    super(message);
    this.name = 'CrashPointError';
  }
}

export interface CrashTrigger {
  /** The process is at these points now; one that is armed does not return. */
  hit(names: Iterable<string>): void;
}

/** What CRASH_POINT asks for. */
type Order = { readonly kind: 'crash'; readonly name: string; readonly nth: number } | { readonly kind: 'record'; readonly file: string };

const FLAG = 'CONCORDAT_CRASH_POINTS';
const VARIABLE = 'CRASH_POINT';
const TAKES = `a name, name#n for its n-th time, record:FILE to write down the names that occur, or file:FILE to read one of these from a file at each point`;

/**
 * Null unless CONCORDAT_CRASH_POINTS=on, whatever CRASH_POINT says: without the flag there is nothing in place that could crash.
 * `die` does not return in earnest.
 * @throws CrashPointError with one line that names the variable
 */
export function crashTriggerFrom(env: Env, die: () => void = killMyself): CrashTrigger | null {
  const flag = env[FLAG] ?? '';
  if (flag === '' || flag === 'off') return null;
  if (flag !== 'on') throw new CrashPointError(`${FLAG} got "${flag}"; it takes "on" or "off"`);
  if (env['NODE_ENV'] === 'production') throw new CrashPointError(`${FLAG} is on with NODE_ENV=production: crash points are for tests only; take it out of the environment`);
  const text = env[VARIABLE] ?? '';
  if (text === '') return null;
  return text.startsWith('file:') ? new FileTrigger(text.slice('file:'.length), die) : new FixedTrigger(orderFrom(text), die);
}

function killMyself(): void {
  process.kill(process.pid, 'SIGKILL');
}

function orderFrom(text: string): Order {
  if (text.startsWith('record:')) return { kind: 'record', file: text.slice('record:'.length) };
  const [, name, nth = '1'] = /^([^#]*)(?:#([1-9]\d{0,8}))?$/.exec(text) ?? [];
  if (name === undefined || parseCrashPoint(name) === null || !allCrashPoints().includes(name)) {
    throw new CrashPointError(`${VARIABLE} got "${text}", which is no crash point (npm run crash-matrix -- --list names them); it takes ${TAKES}`);
  }
  return { kind: 'crash', name, nth: Number(nth) };
}

/** Obeys one order for as long as the process lives. */
class FixedTrigger implements CrashTrigger {
  private hits = 0;
  private readonly recorded = new Set<string>();

  constructor(private readonly order: Order, private readonly die: () => void) {}

  hit(names: Iterable<string>): void {
    const { order } = this;
    for (const name of names) {
      if (order.kind === 'record') this.record(name, order.file);
      else if (name === order.name && ++this.hits === order.nth) this.die();
    }
  }

  /** At once and in one write each: what was reached is in the file even if the process is killed in the next moment. */
  private record(name: string, file: string): void {
    if (this.recorded.has(name)) return;
    this.recorded.add(name);
    fs.appendFileSync(file, `${name}\n`);
  }
}

/** Obeys what a file says at the moment, so that a process that runs can be armed. Takes the file away before it crashes: once is enough. */
class FileTrigger implements CrashTrigger {
  private text = '';
  private current: CrashTrigger | null = null;

  constructor(private readonly file: string, private readonly die: () => void) {}

  hit(names: Iterable<string>): void {
    const text = this.read();
    if (text !== this.text) {
      this.current = text === '' ? null : new FixedTrigger(orderFrom(text), () => this.crash());
      this.text = text;
    }
    this.current?.hit(names);
  }

  private read(): string {
    try {
      return fs.readFileSync(this.file, 'utf8').trim();
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return '';
      throw error;
    }
  }

  private crash(): void {
    fs.rmSync(this.file, { force: true });
    this.die();
  }
}
