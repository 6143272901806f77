import readline from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { AssignmentError, parseAssignment } from './assignment.js';
import type { Assignment, MeasureAfter, Progress, Result } from './contract.js';
import { run } from './run.js';
import { openWay } from './ways/open-way.js';

// One worker of the load generator. Lines of JSON: on stdin an Assignment, and perhaps a MeasureAfter; on stdout Progress, in the end one Result.

const EXIT = { ok: 0, somethingUnknown: 1, badAssignment: 2, stopped: 130 } as const;
/** Connections whose other end is stuck are left to the end of the process. */
const CLOSE_MS = 2_000;

async function main(): Promise<number> {
  const stop = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => stop.abort());
  const lines = readline.createInterface({ input: process.stdin })[Symbol.asyncIterator]();
  const { value } = await lines.next() as IteratorResult<string, undefined>;
  const measureAfter = lines.next().then(({ value: line }) => (line === undefined ? new Promise<never>(() => undefined) : (JSON.parse(line as string) as MeasureAfter).measureAfterSeconds));
  const result = await runAssignment(parseAssignment(value ?? ''), stop.signal, measureAfter);
  if (stop.signal.aborted) return EXIT.stopped;
  return result.endings.unknown > 0 ? EXIT.somethingUnknown : EXIT.ok;
}

async function runAssignment(assignment: Assignment, signal: AbortSignal, measureAfter: Promise<number>): Promise<Result> {
  const way = await openWay(assignment);
  try {
    const result = await run(assignment, way, { onSecond: (progress) => void print(progress), onFault: firstOnly((error) => say(stackOf(error))), signal, measureAfter });
    await print(result);
    return result;
  } finally {
    await Promise.race([way.close(), sleep(CLOSE_MS)]);
  }
}

/** Resolves when the line has left: it may be megabytes long, and the process is about to end. */
function print(line: Progress | Result): Promise<void> {
  return new Promise((resolve, reject) => process.stdout.write(`${JSON.stringify(line)}\n`, (error) => (error ? reject(error) : resolve())));
}

function say(line: string): void {
  process.stderr.write(`${line}\n`);
}

function stackOf(error: unknown): string {
  return (error as Error).stack ?? String(error);
}

function firstOnly<T>(hear: (value: T) => void): (value: T) => void {
  let heard = false;
  return (value) => {
    if (!heard) hear(value);
    heard = true;
  };
}

main().then((code) => process.exit(code), (error: unknown) => {
  const bad = error instanceof AssignmentError;
  say(bad ? error.message : stackOf(error));
  process.exit(bad ? EXIT.badAssignment : EXIT.somethingUnknown);
});
