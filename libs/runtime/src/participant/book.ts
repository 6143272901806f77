import { asksPeers, stepParticipant, type BranchRow, type ParticipantConfig, type ParticipantTimer, type TimerChange, type ToParticipant, type Txid } from '#libs/protocol';
import type { Clock } from '../ports.js';
import { backoffMs } from '../retry.js';
import { Timers, type DueTimer } from '../timers.js';
import type { BranchOutcome, FailedDecision } from './branch-run.js';
import { describeError } from './describe-error.js';
import { idOf, partitionOf } from './keys.js';
import type { InDoubtBranch, ParkedBranch, ParticipantObserver, ParticipantOptions } from './types.js';

interface Doubt {
  readonly txid: Txid;
  readonly branch: number;
  readonly sinceMs: number;
  /** Of the inquiry that is armed or on its way through the lane. */
  attempt: number;
}

interface Parked {
  readonly view: ParkedBranch;
  readonly trigger: ToParticipant;
}

export interface BookEvents {
  inquiriesDue(branches: readonly { readonly txid: Txid; readonly branch: number; readonly attempt: number }[]): void;
  retriesDue(triggers: readonly ToParticipant[]): void;
}

export interface BookContext {
  readonly clock: Clock;
  readonly config: ParticipantConfig;
  readonly options: Pick<ParticipantOptions, 'partitions' | 'park'>;
  readonly observer: ParticipantObserver;
  readonly events: BookEvents;
}

/**
 * What this instance remembers between database transactions: the branches that wait for a decision, and those whose decision
 * could not be applied, of the partitions that it owns. Finished branches are in the database only. It follows the rows
 * and never leads: losing it costs time, not correctness.
 */
export class Book {
  private partitions: ReadonlySet<number> = new Set();
  private readonly doubts = new Map<string, Doubt>();
  private readonly parkedById = new Map<string, Parked>();
  private readonly timers: Timers<ParticipantTimer | 'retry'>;

  constructor(private readonly context: BookContext) {
    this.timers = new Timers(context.clock, (due) => this.fire(due));
  }

  /** Oldest first. */
  inDoubt(): readonly InDoubtBranch[] {
    const views = [...this.doubts.values()].map((doubt) => ({ txid: doubt.txid, branch: doubt.branch, sinceMs: doubt.sinceMs, blocked: this.isBlocked(doubt) }));
    return views.sort((a, b) => a.sinceMs - b.sinceMs);
  }

  /** Oldest first. */
  parked(): readonly ParkedBranch[] {
    return [...this.parkedById.values()].map(({ view }) => view).sort((a, b) => a.sinceMs - b.sinceMs);
  }

  isParked(id: string): boolean {
    return this.parkedById.has(id);
  }

  get owned(): readonly number[] {
    return [...this.partitions].sort((a, b) => a - b);
  }

  /** Forgets everything of partitions that are not in the set. */
  own(partitions: readonly number[]): void {
    this.partitions = new Set(partitions);
    for (const [id, { txid }] of this.doubts) if (!this.owns(txid)) this.forget(id);
    for (const [id, { view }] of this.parkedById) if (!this.owns(view.txid)) this.forget(id);
  }

  /** Forgets everything. */
  close(): void {
    this.own([]);
    this.timers.clear();
  }

  /** The branch could not be processed; the next sweep looks at its row again. */
  forget(id: string): void {
    this.doubts.delete(id);
    this.parkedById.delete(id);
    this.timers.cancelKey(id);
  }

  /** After the database transaction: takes over what it left of the branch. */
  follow({ work: { id }, row, timers, failure }: BranchOutcome): void {
    if (row === null || row.state !== 'prepared') {
      this.dropDoubt(id);
      this.unpark(id);
    } else if (this.owns(row.txid)) {
      if (failure !== null) this.park(id, row, failure);
      else if (!this.parkedById.has(id)) this.await(id, row, timers);
    }
  }

  /** A prepared row that was found in the database: waits for its decision, if that is not known already. */
  recover(row: BranchRow): void {
    const id = idOf(row);
    if (this.owns(row.txid) && !this.doubts.has(id) && !this.parkedById.has(id)) this.await(id, row, []);
  }

  private fire(due: readonly DueTimer<ParticipantTimer | 'retry'>[]): void {
    const inquiries = due.filter(({ name }) => name === 'inquire').map(({ key }) => this.doubts.get(key)!);
    const retries = due.filter(({ name }) => name === 'retry').map(({ key }) => this.parkedById.get(key)!.trigger);
    if (inquiries.length > 0) this.context.events.inquiriesDue(inquiries);
    if (retries.length > 0) this.context.events.retriesDue(retries);
  }

  private owns(txid: Txid): boolean {
    return this.partitions.has(partitionOf(txid, this.context.options.partitions));
  }

  private await(id: string, row: BranchRow, timers: readonly TimerChange<ParticipantTimer>[]): void {
    const isNew = !this.doubts.has(id);
    if (isNew) this.doubts.set(id, { txid: row.txid, branch: row.branch, sinceMs: row.updatedAtMs, attempt: 0 });
    // A repeated PREPARE sets no timer: its vote may have been another instance's, which has lost the partition since.
    const changes = isNew && timers.length === 0 ? this.recoveryTimers(row) : timers;
    for (const change of changes) this.arm(id, change);
  }

  private recoveryTimers(row: BranchRow): readonly TimerChange<ParticipantTimer>[] {
    return stepParticipant({ phase: 'stored', row }, { kind: 'RECOVER' }, this.context.clock.now(), this.context.config).ready.timers;
  }

  private arm(id: string, change: TimerChange<ParticipantTimer>): void {
    if ('cancel' in change) return this.timers.cancel(id, change.cancel);
    this.doubts.get(id)!.attempt = change.attempt;
    this.timers.set(id, change.set, change.atMs, change.attempt);
  }

  private dropDoubt(id: string): void {
    if (this.doubts.delete(id)) this.timers.cancel(id, 'inquire');
  }

  /** Inquiry `attempt` is to come; if the one before the last went to the peers too, they have had their time to answer. */
  private isBlocked({ attempt }: Doubt): boolean {
    return attempt >= 2 && asksPeers(attempt - 2, this.context.config);
  }

  private park(id: string, { txid, branch }: BranchRow, { action, operation, trigger, error }: FailedDecision): void {
    const { clock, options, observer } = this.context;
    // The decision is known, so the branch is not in doubt any more.
    this.dropDoubt(id);
    const before = this.parkedById.get(id)?.view;
    const attempts = (before?.attempts ?? 0) + 1;
    const retryAtMs = clock.now() + backoffMs(attempts - 1, options.park);
    const view = { txid, branch, action, operation, sinceMs: before?.sinceMs ?? clock.now(), attempts, retryAtMs, error: describeError(error) };
    this.parkedById.set(id, { view, trigger });
    this.timers.set(id, 'retry', retryAtMs);
    observer.parked?.(view);
  }

  private unpark(id: string): void {
    const parked = this.parkedById.get(id);
    if (parked === undefined) return;
    this.parkedById.delete(id);
    this.timers.cancel(id, 'retry');
    this.context.observer.unparked?.(parked.view);
  }
}
