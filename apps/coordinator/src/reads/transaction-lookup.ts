import type { Txid } from '#libs/protocol';
import type { CoordinatorDriver, TimelineEvent, TransactionView } from '#libs/runtime';
import { timelineJson } from '../http/transaction-json.js';
import { hasReached, type Until } from './progress.js';
import type { RemoteOutcomes } from './remote-outcomes.js';

type Memory = Pick<CoordinatorDriver, 'view' | 'settled' | 'timeline'>;

/** Finds transactions wherever they are: in this instance's memory first, then in the database. */
export class TransactionLookup {
  /** Waits that a stop must answer early. */
  private readonly open = new Set<() => void>();
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
    return new Promise((resolve, reject) => {
      const end = (answer: Promise<TransactionView | null>): void => {
        this.open.delete(onDrain);
        answer.then(resolve, reject);
      };
      const onDrain = (): void => end(this.find(txid));
      this.open.add(onDrain);
      const found = this.memoryThenRemote(txid, until, waitMs);
      found.then(() => end(found), () => end(found));
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
    for (const answer of [...this.open]) answer();
  }

  private async memoryThenRemote(txid: Txid, until: Until, waitMs: number): Promise<TransactionView | null> {
    const deadlineMs = performance.now() + waitMs;
    const local = await this.memory.settled(txid, until, waitMs);
    if (local !== null && (hasReached(local, until) || performance.now() >= deadlineMs)) return local;
    // Never owned here, or the shard has moved while we waited.
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
