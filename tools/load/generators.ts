// Generator processes: what each has to do, and what all of them have done.
import { type ChildProcess, spawn } from 'node:child_process';
import readline from 'node:readline';
import { fileURLToPath } from 'node:url';
import type { Assignment, MeasureAfter, Progress, Result } from '../../apps/loadtest/src/contract.ts';
import { mergeProgress, mergeResults } from './merge.ts';
import type { RunSettings } from './settings.ts';

const GENERATOR = fileURLToPath(new URL('../../dist/apps/loadtest/src/main.js', import.meta.url));
/** Of what a generator wrote to standard error. */
const LAST_LINES = 12;

export interface GeneratorEvents {
  /** They run: pids by name (`load`, or `load-1` and so on). */
  readonly onStarted: (pids: ReadonlyMap<string, number>) => void;
  /** Once all of them have told of a second. Answers, if that is to be said now, after how many seconds of warm-up the measured time begins. */
  readonly onProgress: (progress: Progress) => number | null | void;
}

/** One for each worker, all of them of the whole: each takes its share of clients, arrivals and connections by its number. */
export function assignmentsFor(settings: RunSettings, target: Assignment['target'], idPrefix: string, mostWarmupSeconds = settings.warmupSeconds): readonly Assignment[] {
  return Array.from({ length: settings.workers }, (_, worker) => ({ ...settings, mostWarmupSeconds, target, worker, idPrefix }));
}

/**
 * Runs them to their end, one process each.
 * @throws Error when one fails, with what it wrote; the others are ended then, and all of them when `signal` aborts
 */
export async function runGenerators(assignments: readonly Assignment[], events: GeneratorEvents, signal: AbortSignal, generator = GENERATOR): Promise<Result> {
  // In the order of their lines: what the seconds are called may change while they are told when the measured time begins.
  const told: Progress[][] = [];
  const onProgress = (n: number, line: Progress): void => {
    const lines = (told[n] ??= []);
    lines.push(line);
    if (lines.length < assignments.length) return;
    const measureAfterSeconds = events.onProgress(mergeProgress(lines)) ?? null;
    if (measureAfterSeconds !== null) for (const child of children) child.stdin.end(`${JSON.stringify({ measureAfterSeconds } satisfies MeasureAfter)}\n`);
  };
  const children = assignments.map(() => spawn(process.execPath, ['--enable-source-maps', generator], { stdio: ['pipe', 'pipe', 'pipe'] }));
  const endAll = (): void => { for (const child of children) child.kill('SIGTERM'); };
  signal.addEventListener('abort', endAll, { once: true });
  const running = children.map((child, i) => resultOf(child, assignments[i]!, onProgress));
  events.onStarted(new Map(children.flatMap(({ pid }, i) => (pid === undefined ? [] : [[children.length === 1 ? 'load' : `load-${i + 1}`, pid] as const]))));
  try {
    if (signal.aborted) endAll();
    return mergeResults(await Promise.all(running));
  } finally {
    signal.removeEventListener('abort', endAll);
    endAll();
    await Promise.allSettled(running);
  }
}

async function resultOf(child: ChildProcess, assignment: Assignment, onProgress: (n: number, line: Progress) => void): Promise<Result> {
  let result: Result | null = null;
  let seconds = 0;
  const errors: string[] = [];
  const lines = readline.createInterface({ input: child.stdout! });
  lines.on('line', (line) => {
    const message = parse(line);
    if (message === null) errors.push(line);
    else if (message.kind === 'progress') onProgress(seconds++, message);
    else result = message;
  });
  readline.createInterface({ input: child.stderr! }).on('line', (line) => {
    errors.push(line);
    if (errors.length > LAST_LINES) errors.shift();
  });
  // It may end before it has read; how it ended says more than the broken pipe.
  child.stdin!.on('error', () => undefined);
  child.stdin!.write(`${JSON.stringify(assignment)}\n`);
  if (assignment.mostWarmupSeconds === assignment.warmupSeconds) child.stdin!.end();
  const how = await new Promise<number | string>((resolve, reject) => child.once('error', reject).once('close', (code, signal) => resolve(code ?? signal ?? 'unknown')));
  if (result !== null && (how === 0 || how === 1)) return result;
  throw new Error(`the generator of worker ${assignment.worker} ended (${how}) ${result === null ? 'without a result' : 'although it had a result'}${errors.length === 0 ? '' : `:\n${errors.join('\n')}`}`);
}

function parse(line: string): Progress | Result | null {
  try {
    const message = JSON.parse(line) as { readonly kind?: unknown } | null;
    return message?.kind === 'progress' || message?.kind === 'result' ? message as Progress | Result : null;
  } catch {
    return null;
  }
}
