// Looks into the tables while the run goes on.
import { setTimeout as sleep } from 'node:timers/promises';
import type { Txid } from '#libs/protocol';
import { PARTICIPANTS, type Pools } from './cluster.ts';
import type { Told } from './traffic.ts';

/** One look at all participants. */
export interface DoubtSample {
  /** Since the start of the load. */
  readonly atMs: number;
  /** Branches that have voted yes and do not know the decision. */
  readonly count: number;
  /** For how long the oldest has been so. */
  readonly oldestMs: number;
}

interface Options {
  readonly pools: Pools;
  readonly now: () => number;
  /** Grows while the run goes on. */
  readonly told: readonly Told[];
}

const EVERY_MS = 1_000;
const FINAL_STATES = new Set(['committed', 'aborted', 'read-only', 'executed', 'compensated', 'refused', 'cancelled']);
/** A decision may have waited for its flush: a look goes back by more than a process is ever stopped for. */
const LOOK_BACK_SECONDS = 30;

/** Remembers decisions and final states of branches as they were when they were first seen (AC2), and how long branches were in doubt. */
export class Watch {
  readonly decisions = new Map<Txid, string>();
  readonly branches = new Map<string, string>();
  readonly doubt: DoubtSample[] = [];
  /** Something was seen in one state and then in another. */
  readonly changes: { readonly txid: Txid; readonly what: string }[] = [];
  private readonly options: Options;
  private looked = 0;
  private readonly stopping = new AbortController();
  private running: Promise<void> | null = null;

  constructor(options: Options) {
    this.options = options;
  }

  start(): void {
    this.running = this.run();
  }

  async stop(): Promise<void> {
    this.stopping.abort();
    await this.running;
  }

  /** Of all looks. */
  longestInDoubtMs(): number {
    return this.doubt.reduce((longest, { oldestMs }) => Math.max(longest, oldestMs), 0);
  }

  private async run(): Promise<void> {
    while (!this.stopping.signal.aborted) {
      // Each by itself; while the server is down there is nothing to be seen.
      await Promise.allSettled([this.lookAtDecisions(), this.lookAtBranches(), this.lookAtDoubt()]);
      await sleep(EVERY_MS, undefined, { signal: this.stopping.signal }).catch(() => undefined);
    }
  }

  private async lookAtDecisions(): Promise<void> {
    const { rows } = await this.options.pools.coordinator.query<{ txid: Txid; decision: string }>('SELECT txid, decision FROM tx_decision WHERE decided_at > now() - make_interval(secs => $1)', [LOOK_BACK_SECONDS]);
    for (const { txid, decision } of rows) this.compare(this.decisions, txid, txid, decision, 'decision');
  }

  /** Of those whose clients have been told since the last look. */
  private async lookAtBranches(): Promise<void> {
    const { told } = this.options;
    const txids = told.slice(this.looked).flatMap(({ txid }) => txid ?? []);
    const upTo = told.length;
    if (txids.length > 0) {
      await Promise.all(PARTICIPANTS.map(async (participant) => {
        const { rows } = await this.options.pools[participant].query<{ txid: Txid; branch: number; state: string }>('SELECT txid, branch, state FROM concordat_branch WHERE txid = ANY($1)', [txids]);
        for (const { txid, branch, state } of rows) if (FINAL_STATES.has(state)) this.compare(this.branches, `${participant} ${txid} ${branch}`, txid, state, `${participant}, branch ${branch}`);
      }));
    }
    this.looked = upTo;
  }

  private compare<Key>(seen: Map<Key, string>, key: Key, txid: Txid, state: string, what: string): void {
    const before = seen.get(key);
    if (before === undefined) seen.set(key, state);
    else if (before !== state && !(before === 'executed' && state === 'compensated')) this.changes.push({ txid, what: `${what}: ${before} became ${state}` });
  }

  private async lookAtDoubt(): Promise<void> {
    const looks = await Promise.all(PARTICIPANTS.map(async (participant) => {
      const { rows: [row] } = await this.options.pools[participant].query<{ count: number; ms: number | null }>(`
        SELECT count(*)::int AS count, (extract(epoch FROM now() - min(updated_at)) * 1000)::float AS ms
          FROM concordat_branch WHERE state IN ('prepared', 'pre-committed', 'pre-aborted')`);
      return row!;
    }));
    this.doubt.push({ atMs: this.options.now(), count: looks.reduce((sum, l) => sum + l.count, 0), oldestMs: Math.max(0, ...looks.map((l) => l.ms ?? 0)) });
  }
}
