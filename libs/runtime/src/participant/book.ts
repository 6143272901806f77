import { createdAtOf, type TimerChange, type Txid } from '#libs/protocol';
import type { AnyBranchRow, Clock } from '../ports.js';
import { backoffMs } from '../retry.js';
import { Timers, type DueTimer } from '../timers.js';
import { describeError } from './describe-error.js';
import type { Expectation } from './expectations.js';
import { branchId, idOf, keyOf, partitionOf, type SiteKey } from './keys.js';
import type { WorkItem } from './lane.js';
import { Memories } from './memories.js';
import type { Roles } from './roles/index.js';
import type { Memory, TimerName } from './roles/role.js';
import { ROLE_OF_TIMER, routeOf } from './roles/routing.js';
import { isUndecided } from './roles/rows.js';
import type { FailedDecision, Outcome } from './run.js';
import type { InDoubtBranch, ParkedBranch, ParticipantObserver, ParticipantOptions } from './types.js';

type Protocol = InDoubtBranch['protocol'];
type Inputs = WorkItem['inputs'];

interface Doubt {
  readonly txid: Txid;
  readonly branch: number;
  readonly protocol: Protocol;
  readonly sinceMs: number;
  /** On the clock that never jumps; negative if it was before this process. */
  readonly bornMs: number;
  /** Of the timer that is armed or on its way through the lane. */
  attempt: number;
}

interface Parked {
  readonly view: ParkedBranch;
  readonly again: FailedDecision['again'];
}

/** So many rows of prepared branches are remembered; of the others it is not known what they are. */
const MAX_ROWS = 4_000;

export interface BookContext {
  readonly clock: Clock;
  readonly roles: Roles;
  readonly options: Pick<ParticipantOptions, 'partitions' | 'park' | 'memoryKeptMs' | 'maxMemories'>;
  readonly observer: ParticipantObserver;
  /** Timers that have fired, and parked decisions that are to be tried again. */
  due(inputs: Inputs): void;
}

/**
 * What this instance remembers between database transactions, of the partitions that it owns: the branches that wait for a decision, those
 * whose decision could not be applied, the leaders that wait for acceptors, and what machines know beside their rows. Finished ones are in
 * the database only. It follows the rows and never leads: losing it costs time, not correctness.
 */
export class Book {
  /** With the time since when they are owned, milliseconds since the epoch. */
  private partitions: ReadonlyMap<number, number> = new Map();
  private readonly doubts = new Map<string, Doubt>();
  private readonly parkedById = new Map<string, Parked>();
  /** Leaders that have timers. */
  private readonly leaders = new Map<string, Txid>();
  private readonly memories: Memories;
  /** Rows that wait for their decision, as this process has seen them last; the oldest first. */
  private readonly prepared = new Map<string, AnyBranchRow>();
  /** Branches that were decided before they were prepared: a PREPARE that comes late has to see that. The oldest first. */
  private readonly barred = new Set<string>();
  private readonly timers: Timers<TimerName | 'retry'>;

  constructor(private readonly context: BookContext) {
    this.timers = new Timers(context.clock, (due) => this.fire(due));
    this.memories = new Memories(context.clock, context.options);
  }

  /** Oldest first. */
  inDoubt(): readonly InDoubtBranch[] {
    const { clock, roles } = this.context;
    const nowMs = clock.elapsed();
    const views = [...this.doubts.values()].map(({ txid, branch, protocol, sinceMs, bornMs, attempt }) => (
      { txid, branch, protocol, sinceMs, ageMs: nowMs - bornMs, blocked: roles[protocol].isBlocked(attempt) }
    ));
    return views.sort((a, b) => b.ageMs - a.ageMs);
  }

  /** Oldest first. */
  parked(): readonly ParkedBranch[] {
    return [...this.parkedById.values()].map(({ view }) => view).sort((a, b) => a.sinceMs - b.sinceMs);
  }

  isParked(id: string): boolean {
    return this.parkedById.has(id);
  }

  recall(id: string): Memory | null {
    return this.memories.get(id);
  }

  /**
   * What the database should have of a branch: a guess, to be verified. Null: it cannot tell. Of transactions that are older than its hold of
   * the partition others may have seen messages.
   */
  expect(id: string, txid: Txid): Expectation | null {
    const row = this.prepared.get(id);
    if (row !== undefined) return { row };
    if (this.doubts.has(id) || this.parkedById.has(id) || this.barred.has(id)) return null;
    const sinceMs = this.partitions.get(partitionOf(txid, this.context.options.partitions));
    return sinceMs !== undefined && createdAtOf(txid) > sinceMs ? { row: null } : null;
  }

  /** States that are kept beside rows. */
  get remembered(): number {
    return this.memories.size;
  }

  get owned(): readonly number[] {
    return [...this.partitions.keys()].sort((a, b) => a - b);
  }

  owns(txid: Txid): boolean {
    return this.partitions.has(partitionOf(txid, this.context.options.partitions));
  }

  /** Forgets everything of partitions that are not in the set. */
  own(partitions: readonly number[]): void {
    const nowMs = this.context.clock.now();
    this.partitions = new Map(partitions.map((partition) => [partition, this.partitions.get(partition) ?? nowMs]));
    this.memories.keep((txid) => this.owns(txid));
    for (const [id, { txid }] of this.doubts) if (!this.owns(txid)) this.forget(id);
    for (const [id, { view }] of this.parkedById) if (!this.owns(view.txid)) this.forget(id);
    for (const [id, txid] of this.leaders) if (!this.owns(txid)) this.forget(id);
  }

  /** Forgets everything. */
  close(): void {
    this.own([]);
    this.timers.clear();
  }

  /** The key could not be processed; the next sweep looks at its row again. */
  forget(id: string): void {
    this.doubts.delete(id);
    this.parkedById.delete(id);
    this.leaders.delete(id);
    this.memories.delete(id);
    this.prepared.delete(id);
    this.timers.cancelKey(id);
  }

  /** After the database transaction: takes over what it left of one key. */
  follow(outcome: Outcome): void {
    const { id, key, memory } = outcome;
    if (memory !== null && this.owns(key.txid)) this.memories.set(id, key.txid, memory);
    else this.memories.delete(id);
    if (key.role === 'branch') this.followBranch(outcome);
    else if (key.role === 'leader') this.followLeader(outcome);
  }

  /** An undecided row that was found in the database: waits for its decision, if that is not known already. */
  recover(row: AnyBranchRow): void {
    const id = branchId(row);
    if (this.owns(row.txid) && !this.doubts.has(id) && !this.parkedById.has(id)) this.await(id, row, []);
  }

  private followBranch({ id, row: stored, written, timers, failure, retried }: Outcome): void {
    const row = stored?.table === 'branches' ? stored.row : null;
    if (row === null || !isUndecided(row)) {
      this.prepared.delete(id);
      if (row !== null && !this.doubts.has(id) && !this.parkedById.has(id)) this.bar(id);
      this.dropDoubt(id);
      this.unpark(id);
      // Nobody counts votes for what is decided; of transactions that were refused elsewhere some would wait for the others for ever.
      if (row?.protocol === 'paxos-commit' && row.state !== 'read-only') this.forgetVotes(row.txid);
      return;
    }
    if (!this.owns(row.txid)) return;
    if (failure !== null) return this.park(id, row, failure);
    if (written) this.remember(id, row);
    if (this.parkedById.has(id) && !retried) return;
    this.unpark(id);
    this.await(id, row, timers);
  }

  private remember(id: string, row: AnyBranchRow): void {
    this.prepared.set(id, row);
    if (this.prepared.size > MAX_ROWS) this.prepared.delete(this.prepared.keys().next().value!);
  }

  private bar(id: string): void {
    this.barred.add(id);
    if (this.barred.size > MAX_ROWS) this.barred.delete(this.barred.values().next().value!);
  }

  private followLeader({ id, key, timers, memory, fresh }: Outcome): void {
    if (fresh || memory === null || !this.owns(key.txid)) {
      this.timers.cancelKey(id);
      this.leaders.delete(id);
    }
    if (memory === null || !this.owns(key.txid)) return;
    this.leaders.set(id, key.txid);
    for (const change of timers) this.change(id, change);
  }

  private forgetVotes(txid: Txid): void {
    const id = idOf({ role: 'acceptor', txid });
    if (this.memories.get(id)?.role === 'acceptor') this.memories.delete(id);
  }

  private fire(due: readonly DueTimer<TimerName | 'retry'>[]): void {
    const inputs = due.map(({ key: id, name, attempt }): Inputs[number] => {
      if (name === 'retry') return repetition(this.parkedById.get(id)!);
      return { key: keyOf(id), role: ROLE_OF_TIMER[name], input: { kind: 'TIMER', timer: name, attempt }, isRetry: false, batch: null };
    });
    this.context.due(inputs);
  }

  private await(id: string, row: AnyBranchRow, timers: readonly TimerChange<TimerName>[]): void {
    const isNew = !this.doubts.has(id);
    if (isNew) this.doubts.set(id, this.doubtOf(row));
    // A repeated PREPARE sets no timer: its vote may have been another instance's, which has lost the partition since.
    const changes = isNew && timers.length === 0 ? this.recoveryTimers(row) : timers;
    for (const change of changes) {
      if ('set' in change) this.doubts.get(id)!.attempt = change.attempt;
      this.change(id, change);
    }
  }

  private doubtOf(row: AnyBranchRow): Doubt {
    const { clock } = this.context;
    const { txid, branch, updatedAtMs: sinceMs } = row;
    const bornMs = clock.elapsed() - Math.max(clock.now() - sinceMs, 0);
    return { txid, branch, protocol: row.protocol as Protocol, sinceMs, bornMs, attempt: 0 };
  }

  private recoveryTimers(row: AnyBranchRow): readonly TimerChange<TimerName>[] {
    return this.context.roles[row.protocol].begin({ table: 'branches', row }, null).step({ kind: 'RECOVER' }, this.context.clock.now()).timers;
  }

  private change(id: string, change: TimerChange<TimerName>): void {
    if ('cancel' in change) this.timers.cancel(id, change.cancel);
    else this.timers.set(id, change.set, change.atMs, change.attempt);
  }

  private dropDoubt(id: string): void {
    if (this.doubts.delete(id)) this.timers.cancelKey(id);
  }

  private park(id: string, { txid, branch }: AnyBranchRow, { action, operation, again, error }: FailedDecision): void {
    const { clock, options, observer } = this.context;
    this.prepared.delete(id);
    // The decision is known, so the branch is not in doubt any more.
    this.dropDoubt(id);
    const before = this.parkedById.get(id)?.view;
    const attempts = (before?.attempts ?? 0) + 1;
    const retryAtMs = clock.now() + backoffMs(attempts - 1, options.park);
    const view = { txid, branch, action, operation, sinceMs: before?.sinceMs ?? clock.now(), attempts, retryAtMs, error: describeError(error) };
    this.parkedById.set(id, { view, again });
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

function repetition({ again, view: { txid, branch } }: Parked): Inputs[number] {
  const key: SiteKey = { role: 'branch', txid, branch };
  return { key, role: routeOf(again)!.role, input: { kind: 'MESSAGE', message: again }, isRetry: true, batch: null };
}
