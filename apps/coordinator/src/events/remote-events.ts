import type { Txid } from '#libs/protocol';
import type { TransactionReader } from '#libs/postgres';
import type { EventHub } from './event-hub.js';

const POLL_MS = 500;
/** Decisions become visible a flush after their time, and the clocks of instances differ. */
const LOOK_BACK_MS = 2_000;
const PAGE = 1_000;
const MAX_PAGES = 10;
/** Ends of other instances' transactions are looked for this long, and for at most so many. */
const AWAIT_END_MS = 30_000;
const MAX_AWAITED = 1_000;

type Reader = Pick<TransactionReader, 'decidedSince' | 'read'>;

/** Tells the hub of what other instances decide and end. Reads the database only while somebody listens. */
export class RemoteEvents {
  private timer: NodeJS.Timeout | null = null;
  private fromMs: number | null = null;
  private reading = false;
  private readonly awaitingEnd = new Map<Txid, number>();

  constructor(private readonly hub: EventHub, private readonly reader: Reader, private readonly onError: (error: unknown) => void) {}

  start(): void {
    this.timer = setInterval(() => void this.poll(), POLL_MS);
    this.timer.unref();
  }

  stop(): void {
    if (this.timer !== null) clearInterval(this.timer);
    this.timer = null;
  }

  /** One reading; overlapping calls are left out. */
  async poll(): Promise<void> {
    if (this.reading) return;
    if (this.hub.size === 0) {
      this.fromMs = null;
      this.awaitingEnd.clear();
      return;
    }
    this.reading = true;
    try {
      this.fromMs = await this.tellDecisions(this.fromMs ?? Date.now() - POLL_MS);
      await this.tellEnds();
    } catch (error) {
      this.onError(error);
    } finally {
      this.reading = false;
    }
  }

  /** @returns where the next reading begins */
  private async tellDecisions(fromMs: number): Promise<number> {
    let cursor: { readonly atMs: number; readonly txid?: Txid } = { atMs: fromMs };
    for (let page = 0; page < MAX_PAGES; page++) {
      const outcomes = await this.reader.decidedSince(cursor, PAGE);
      await this.tell(outcomes.map((outcome) => outcome.txid).filter((txid) => !this.hub.hasTold('decided', txid)));
      const last = outcomes.at(-1);
      if (last !== undefined) cursor = { atMs: last.decidedAtMs, txid: last.txid };
      if (outcomes.length < PAGE) return Math.max(fromMs, cursor.atMs - LOOK_BACK_MS);
    }
    // More than fits into one reading: go on from here without looking back, or the same would be read for ever.
    return cursor.atMs;
  }

  private async tell(txids: readonly Txid[]): Promise<void> {
    if (txids.length === 0) return;
    for (const [txid, view] of await this.reader.read(txids)) {
      this.hub.publish('decided', view);
      if (view.finishedAtMs !== null) this.hub.publish('finished', view);
      else if (this.awaitingEnd.size < MAX_AWAITED) this.awaitingEnd.set(txid, Date.now() + AWAIT_END_MS);
    }
  }

  private async tellEnds(): Promise<void> {
    if (this.awaitingEnd.size === 0) return;
    for (const [txid, view] of await this.reader.read([...this.awaitingEnd.keys()])) {
      if (view.finishedAtMs !== null) this.hub.publish('finished', view);
      if (view.finishedAtMs !== null || Date.now() > this.awaitingEnd.get(txid)!) this.awaitingEnd.delete(txid);
    }
  }
}
