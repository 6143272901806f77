import type { Txid } from '#libs/protocol';
import type { CoordinatorDriver, TimelineEvent, TransactionView } from '#libs/runtime';
import { timelineJson } from '../http/transaction-json.js';
import { hasReached, type Until } from './progress.js';
import type { RemoteOutcomes } from './remote-outcomes.js';

interface Waiting {
  readonly txid: Txid;
  readonly resolve: (view: TransactionView | null) => void;
  readonly reject: (error: unknown) => void;
}

type Memory = Pick<CoordinatorDriver, 'view' | 'settled' | 'timeline'>;

/** Finds transactions wherever they are: in this instance's memory first, then in the database. */
export class TransactionLookup {
  /** Waits that a stop must answer early. */
  private readonly open = new Set<Waiting>();
  private draining = false;

  /**
   * @param reader for what is asked for now; of its own, so that nobody waits for the next round of those who wait
   * @param poller for what is waited for
   */
  constructor(private readonly memory: Memory, private readonly reader: RemoteOutcomes, private readonly poller: RemoteOutcomes, private readonly storedTimeline: (txid: Txid) => Promise<readonly TimelineEvent[] | null>) {}

  async find(txid: Txid): Promise<TransactionView | null> {
    return this.memory.view(txid) ?? this.reader.wait(txid, 'decided', 0);
  }

  /** Resolves when the transaction got there, or after `waitMs` with what is known then; null if there is no such transaction. */
  async wait(txid: Txid, until: Until, waitMs: number): Promise<TransactionView | null> {
    if (waitMs === 0 || this.draining) return this.find(txid);
    const deadlineMs = performance.now() + waitMs;
    return new Promise((resolve, reject) => {
      const waiting: Waiting = { txid, resolve, reject };
      this.open.add(waiting);
      const end = (view: TransactionView | null): void => { this.open.delete(waiting); resolve(view); };
      const fail = (error: unknown): void => { this.open.delete(waiting); reject(error); };
      this.memory.settled(txid, until, waitMs).then((local) => {
        if (local !== null && (hasReached(local, until) || performance.now() >= deadlineMs)) end(local);
        else this.remote(txid, until, deadlineMs, local).then(end, fail);
      }, fail);
    });
  }

  /** What happened to a transaction, in order; null if there is no such transaction. */
  async timeline(txid: Txid): Promise<readonly TimelineEvent[] | null> {
    const own = this.memory.timeline(txid);
    if (own !== null && own.some(isBegin)) return own;
    const stored = await this.storedTimeline(txid);
    if (own === null || stored === null) return own ?? stored;
    // Taken over from another instance: its part is in the database.
    return mergeByTime(stored, own);
  }

  /** From now on nobody waits: whoever does is answered with what is known. */
  drain(): void {
    this.draining = true;
    for (const { txid, resolve, reject } of this.open) this.find(txid).then(resolve, reject);
    this.open.clear();
  }

  /** Of one that was never owned here, or whose shard has moved while we waited. */
  private async remote(txid: Txid, until: Until, deadlineMs: number, local: TransactionView | null): Promise<TransactionView | null> {
    const stored = await this.reader.wait(txid, until, 0);
    if (stored === null || hasReached(stored, until)) return stored ?? local;
    return (await this.poller.wait(txid, until, Math.max(0, deadlineMs - performance.now()))) ?? stored;
  }
}

function isBegin(event: TimelineEvent): boolean {
  return event.type === 'record' && event.name === 'BEGIN';
}

/** Events that both parts hold count once. */
function mergeByTime(stored: readonly TimelineEvent[], own: readonly TimelineEvent[]): readonly TimelineEvent[] {
  const known = new Set(stored.map((event) => JSON.stringify(timelineJson(event))));
  return [...stored, ...own.filter((event) => !known.has(JSON.stringify(timelineJson(event))))].toSorted((a, b) => a.atMs - b.atMs);
}
