import { parseObject } from './errors.js';
import type { Attempt, Endpoint, HttpAnswer, HttpCall } from './http.js';

/** One transaction to be run, in both forms in which it may travel. */
export interface Item {
  /** As a request of its own. */
  single(remainingMs: number): HttpCall;
  /** As JSON, an item of a batch. */
  readonly text: string;
}

interface Waiting {
  readonly item: Item;
  /** No answer is awaited after this, in milliseconds since the epoch. */
  readonly expiresAtMs: number;
  readonly graceMs: number;
  readonly end: (attempt: Attempt) => void;
  readonly fail: (error: unknown) => void;
}

interface Group {
  readonly waiting: Waiting[];
  /** Of the items' text, in UTF-16 units: close enough to bytes. */
  size: number;
}

const MAX_ITEMS = 500;
const MAX_SIZE = 512 * 1024;
const LONGEST_PAUSE_MS = 5;
/** So many calls under way make the next one wait a millisecond for company. */
const CALLS_PER_MS = 10;

/**
 * Sends transactions that are asked for at nearly the same time in one HTTP request to one coordinator: under load a request of its own
 * costs more than the transaction does. The more are under way, the longer one waits for company, because then the wait is short beside
 * what the others ahead of it take. When everybody who is under way is here there is nobody to wait for: they leave at once, as does
 * whoever is alone.
 */
export class Gatherer {
  /** By what their items have in common: the time that remains, in seconds. */
  private readonly groups = new Map<number, Group>();
  private underWay = 0;
  /** Of those under way: in a group that has not left. */
  private queued = 0;
  private isLooking = false;

  /** @param batchOf makes the request of a batch with this body, which is answered line by line */
  constructor(private readonly endpoint: Endpoint, private readonly batchOf: (remainingMs: number, body: string) => HttpCall) {}

  /** One attempt for one item, which ends as if it had been sent alone. Rejects only if its request cannot be made. */
  attempt(item: Item, remainingMs: number, graceMs: number): Promise<Attempt> {
    // With so little time left fractions of a second matter, and they cannot be shared.
    if (remainingMs < 1_000) return this.endpoint.attempt(item.single(remainingMs), remainingMs + graceMs);
    this.underWay++;
    return new Promise((resolve, reject) => {
      let isUnderWay = true;
      const over = (): void => {
        if (isUnderWay) this.underWay--;
        isUnderWay = false;
      };
      this.add(Math.round(remainingMs / 1_000), {
        item, expiresAtMs: performance.now() + remainingMs + graceMs, graceMs,
        end: (attempt) => { over(); resolve(attempt); },
        fail: (error) => { over(); reject(error as Error); },
      });
    });
  }

  private add(seconds: number, waiting: Waiting): void {
    let group = this.groups.get(seconds);
    if (group !== undefined && (group.waiting.length >= MAX_ITEMS || group.size + waiting.item.text.length > MAX_SIZE)) {
      this.send(seconds, group);
      group = undefined;
    }
    if (group === undefined) group = this.open(seconds);
    group.waiting.push(waiting);
    group.size += waiting.item.text.length;
    this.queued++;
    if (this.isLooking || this.queued < this.underWay) return;
    this.isLooking = true;
    // Whoever this answer, or this caller, sets going joins first.
    process.nextTick(() => this.leaveIfAllAreHere());
  }

  private leaveIfAllAreHere(): void {
    this.isLooking = false;
    if (this.queued === this.underWay) for (const [seconds, group] of this.groups) this.send(seconds, group);
  }

  private open(seconds: number): Group {
    const group: Group = { waiting: [], size: 0 };
    this.groups.set(seconds, group);
    const leave = (): void => { if (this.groups.get(seconds) === group) this.send(seconds, group); };
    const pauseMs = Math.min(LONGEST_PAUSE_MS, Math.floor(this.underWay / CALLS_PER_MS));
    if (pauseMs === 0) setImmediate(leave);
    else setTimeout(leave, pauseMs);
    return group;
  }

  private send(seconds: number, { waiting }: Group): void {
    this.groups.delete(seconds);
    this.queued -= waiting.length;
    const sent = waiting.length === 1 ? this.alone(waiting[0]!) : this.together(waiting);
    sent.catch((error: unknown) => { for (const { fail } of waiting) fail(error); });
  }

  private async alone({ item, expiresAtMs, graceMs, end }: Waiting): Promise<void> {
    const timeoutMs = Math.max(graceMs, expiresAtMs - performance.now());
    end(await this.endpoint.attempt(item.single(timeoutMs - graceMs), timeoutMs));
  }

  private async together(waiting: readonly Waiting[]): Promise<void> {
    const open = new Map(waiting.entries());
    const onLine = (text: string): void => {
      const line = readLine(text);
      if (line === null) return;
      open.get(line.index)?.end({ kind: 'answer', answer: line.answer });
      open.delete(line.index);
    };
    const body = `{"transactions":[${waiting.map(({ item }) => item.text).join(',')}]}`;
    // Their times differ by less than a second: nobody waits beyond its own.
    const first = waiting.reduce((a, b) => (a.expiresAtMs <= b.expiresAtMs ? a : b));
    const timeoutMs = Math.max(first.graceMs, first.expiresAtMs - performance.now());
    const attempt = await this.endpoint.attempt(this.batchOf(timeoutMs - first.graceMs, body), timeoutMs, onLine);
    const left = [...open.values()];
    if (isFaultOfOne(attempt)) await Promise.all(left.map((one) => this.alone(one)));
    else for (const { end } of left) end(withoutLine(attempt));
  }
}

/** Malformed or too large as a whole, by the fault of any of them: nothing was taken, and alone each gets the answer that is its own. */
function isFaultOfOne(attempt: Attempt): boolean {
  return attempt.kind === 'answer' && (attempt.answer.status === 400 || attempt.answer.status === 413);
}

/** What an item concludes for which no line has come: the request as a whole was refused, or its answer was lost for this one. */
function withoutLine(attempt: Attempt): Attempt {
  if (attempt.kind !== 'answer' || attempt.answer.status >= 300) return attempt;
  return { kind: 'lost', cause: new Error('the answer ended without a line for it') };
}

type Body = Readonly<Record<string, unknown>>;

/** Null for what is not a line of a coordinator: its item counts as not answered. */
function readLine(text: string): { readonly index: number; readonly answer: HttpAnswer } | null {
  const { index, transaction, problem } = (parseObject(text) ?? {}) as { index?: unknown; transaction?: Body; problem?: Body };
  if (typeof index !== 'number') return null;
  if (transaction !== undefined) return { index, answer: { status: 200, headers: {}, text, body: transaction } };
  if (typeof problem?.status !== 'number') return null;
  const headers = typeof problem.retryAfter === 'number' ? { 'retry-after': String(problem.retryAfter) } : {};
  return { index, answer: { status: problem.status, headers, text, body: problem } };
}
