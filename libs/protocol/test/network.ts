/**
 * One transaction in an unreliable world: owners of the transaction that crash, are replaced and do not notice, participants
 * that crash around their database transaction, and a network that loses, repeats and reorders. What is durable (the
 * register, BEGIN, END, the branch rows) survives; everything else may go at any moment. Safety is checked at every
 * durable write, by throwing a Violation; `heal` then ends all faults and demands an end within a bound (AC5).
 */
import {
  makeTxid, stepCoordinator, stepParticipant,
  type BranchRow, type CoordinatorConfig, type CoordinatorInput, type CoordinatorRecord, type CoordinatorState, type Envelope, type HandlerVote, type OutcomeStatus,
  type ParticipantConfig, type ParticipantInput, type ParticipantState, type PeerInquiry, type PeerState, type Ready, type TimerChange, type ToCoordinator,
  type ToParticipant, type TransactionSpec, type VoteKind,
} from '../src/index.js';

/** The machines under test; a test of the tests replaces one of them by a broken variant. */
export interface Machines {
  readonly coordinator: typeof stepCoordinator;
  readonly participant: typeof stepParticipant;
}

export const MACHINES: Machines = { coordinator: stepCoordinator, participant: stepParticipant };

export interface Setting {
  /** What each branch's handler says; one entry makes a one-phase transaction. */
  readonly votes: readonly VoteKind[];
  readonly waitFor: TransactionSpec['waitFor'];
  /** Whether an owner forgets the transaction at its END, so that inquiries meet presumed abort. */
  readonly forgetful: boolean;
}

/** One turn of the world. `pick` chooses among what is possible; a turn that is not possible passes. */
export interface Turn {
  readonly kind:
    | 'deliver' | 'lose' | 'repeat' | 'flush' | 'timer' | 'presume' | 'cancel' | 'resolve' | 'retry'
    | 'crash-owner' | 'flush-then-crash' | 'take-over' | 'crash-in-handler' | 'crash-before-send' | 'crash-branch' | 'recover-branch';
  readonly pick: number;
}

/** A property of atomic commitment does not hold. The message starts with its name. */
export class Violation extends Error {}

type Record = CoordinatorRecord;
type Decide = Extract<Record, { kind: 'DECIDE' }>;
type OwnerReady = Ready<Record, ToParticipant, string>;
type Traffic = Envelope<ToCoordinator | ToParticipant>;
type BranchMode = 'ok' | 'crash-in-handler' | 'crash-before-send';

interface Timer { readonly atMs: number; readonly attempt: number }

class Owner {
  state: CoordinatorState | null = null;
  readonly unflushed: OwnerReady[] = [];
  readonly timers = new Map<string, Timer>();
  constructor(readonly epoch: number) {}
}

class Branch {
  row: BranchRow | null = null;
  state: ParticipantState = { phase: 'none' };
  up = true;
  held = 0;
  effects = 0;
  readonly timers = new Map<string, Timer>();
  constructor(readonly config: ParticipantConfig, readonly vote: HandlerVote) {}
}

const CREATED_MS = 1_000_000;
const COORDINATOR: CoordinatorConfig = { resendAfterMs: 100, maxResendIntervalMs: 1000 };
const HEALING_TURNS = 3000;
const MOST_OWNERS = 3;

export class Network {
  private nowMs = CREATED_MS;
  private epoch = 1;
  private readonly spec: TransactionSpec;
  private readonly branches: readonly Branch[];
  private owners: Owner[] = [];
  private traffic: Traffic[] = [];
  private begun = false;
  private ended: OutcomeStatus | null = null;
  private register: Decide | null = null;
  private readonly answers: OutcomeStatus[] = [];

  constructor(private readonly setting: Setting, private readonly machines: Machines) {
    this.branches = setting.votes.map((vote, i) => new Branch(
      { name: `p${i}`, inquireAfterMs: 500, maxInquireIntervalMs: 4000, askPeersAfterInquiries: 1 },
      { vote, ...(vote === 'no' && { reason: { code: 'NO' } }) },
    ));
    this.spec = {
      txid: makeTxid(0, CREATED_MS, new Uint8Array(8)), protocol: '2pc', createdAtMs: CREATED_MS, deadlineMs: CREATED_MS + 2000, waitFor: setting.waitFor,
      branches: this.branches.map(({ config }) => ({ participant: config.name, operation: 'work', payload: null })),
    };
    this.owners.push(new Owner(this.epoch));
    this.stepOwner(this.owners[0]!, { kind: 'START', spec: this.spec });
  }

  turn({ kind, pick }: Turn): void {
    this.nowMs += 1;
    const owner = choose(this.owners, pick);
    const at = this.traffic.length === 0 ? -1 : pick % this.traffic.length;
    switch (kind) {
      case 'deliver': return this.deliver(at, pick, 'ok');
      case 'crash-in-handler': return this.deliver(at, pick, kind);
      case 'crash-before-send': return this.deliver(at, pick, kind);
      case 'lose': return void (at >= 0 && this.traffic.splice(at, 1));
      case 'repeat': return void (at >= 0 && this.traffic.push(this.traffic[at]!));
      case 'flush': return this.flush(owner);
      case 'flush-then-crash': return this.flush(owner, true);
      case 'timer': return this.fire(pick);
      case 'presume': return this.presume(pick);
      case 'cancel': return this.command(owner, { kind: 'CANCEL', reason: { code: 'CANCELLED' } });
      case 'resolve': return this.command(owner, { kind: 'RESOLVE', reason: { code: 'RESOLVED_BY_OPERATOR' } });
      case 'retry': return this.command(owner, { kind: 'RETRY_NOW' });
      case 'crash-owner': return this.kill(owner);
      case 'take-over': return this.takeOver();
      case 'crash-branch': return this.crash(choose(this.branches, pick)!);
      case 'recover-branch': return this.recover(pick);
    }
  }

  /** No more faults: only the newest owner lives, everybody is up, nothing is lost. Everything must end. */
  heal(): void {
    if (this.owners.every((owner) => owner.epoch !== this.epoch)) this.takeOver();
    this.owners = this.owners.filter((owner) => owner.epoch === this.epoch);
    for (const branch of this.branches) if (!branch.up) this.restart(branch);
    for (let turns = 0; !this.quiet(); turns++) {
      if (turns > HEALING_TURNS) throw new Violation(`AC5: not at an end after healing: ${this.describe()}`);
      const owner = this.owners[0];
      this.nowMs += 1;
      if (owner && owner.unflushed.length > 0) this.flush(owner);
      else if (this.traffic.length > 0) this.deliver(0, 0, 'ok');
      else this.fire(-1);
    }
    this.checkEnd();
  }

  /** How it ended, for tests of single runs; null if it never began. */
  outcome(): OutcomeStatus | null {
    return this.ended;
  }

  describe(): string {
    return JSON.stringify({
      register: this.register?.decision ?? null, ended: this.ended, answers: this.answers,
      owners: this.owners.map(({ epoch, state }) => `${epoch} ${state?.phase ?? 'none'}`),
      branches: this.branches.map(({ row, held, effects }) => ({ state: row?.state ?? 'none', held, effects })),
    });
  }

  // -------------------------------------------------------------- owners of the transaction

  private command(owner: Owner | undefined, input: CoordinatorInput): void {
    if (owner?.state) this.stepOwner(owner, input);
  }

  private stepOwner(owner: Owner, input: CoordinatorInput): void {
    const { state, ready } = this.machines.coordinator(owner.state, input, this.nowMs, COORDINATOR);
    owner.state = state;
    owner.unflushed.push(ready);
  }

  /** Records, then messages, then timers. An owner whose epoch has passed finds out when it writes BEGIN or END, and dies. */
  private flush(owner: Owner | undefined, crash = false): void {
    const ready = owner?.unflushed.shift();
    if (!owner || !ready) return;
    for (const record of ready.records) {
      // DECIDE is not fenced here, as it is in Postgres: the register alone must be enough.
      if (record.kind !== 'DECIDE' && owner.epoch !== this.epoch) return this.kill(owner);
      this.write(record);
    }
    if (crash) return this.kill(owner);
    this.traffic.push(...ready.messages);
    setTimers(owner.timers, ready.timers);
    if (ready.records.some((record) => record.kind === 'DECIDE')) this.tellRegister(owner);
    const end = ready.records.find((record) => record.kind === 'END');
    if (end) {
      this.answer(end.outcome);
      if (this.setting.forgetful) owner.state = null;
    }
  }

  private write(record: Record): void {
    if (record.kind === 'BEGIN') this.begun = true;
    if (record.kind === 'DECIDE') this.register ??= record;
    if (record.kind === 'END') {
      if (this.ended !== null && this.ended !== record.outcome) throw new Violation(`AC2: END ${record.outcome} after END ${this.ended}`);
      this.ended = record.outcome;
    }
    this.checkSafety();
  }

  private tellRegister(owner: Owner): void {
    const { decision, reason, branches, atMs } = this.register!;
    this.stepOwner(owner, { kind: 'REGISTERED', decision, reason, branches, atMs });
    const outcome = owner.state!.outcome;
    if (outcome !== null) this.answer(outcome);
  }

  private answer(outcome: OutcomeStatus): void {
    this.answers.push(outcome);
    this.checkSafety();
  }

  private kill(owner: Owner | undefined): void {
    this.owners = this.owners.filter((other) => other !== owner);
  }

  /** The old owners live on without knowing. */
  private takeOver(): void {
    if (this.owners.length >= MOST_OWNERS) return;
    this.epoch += 1;
    const owner = new Owner(this.epoch);
    this.owners.push(owner);
    if (!this.begun || this.ended !== null) return;
    const { spec, register } = this;
    this.stepOwner(owner, { kind: 'RECOVER', spec, register: register && { decision: register.decision, reason: register.reason, branches: register.branches, atMs: register.atMs } });
  }

  /** An inquiry meets somebody who does not have the transaction in memory: ABORT, unless the register says otherwise. */
  private presume(pick: number): void {
    const inquiries = this.traffic.filter(({ message }) => message.kind === 'INQUIRY');
    const envelope = choose(inquiries, pick);
    if (!envelope) return;
    this.traffic.splice(this.traffic.indexOf(envelope), 1);
    this.answerByRegister(envelope.message.branch);
  }

  private answerByRegister(branch: number): void {
    const { txid } = this.spec;
    this.write({ kind: 'DECIDE', txid, decision: 'ABORT', reason: { code: 'NO_RECORD' }, branches: [], atMs: this.nowMs });
    const message: ToParticipant = this.register!.decision === 'COMMIT' ? { kind: 'COMMIT', txid, branch } : { kind: 'ABORT', txid, branch, reason: { code: 'NO_RECORD' } };
    this.traffic.push({ to: { role: 'participant', name: this.branches[branch]!.config.name }, message });
  }

  // -------------------------------------------------------------- delivery

  private deliver(at: number, pick: number, mode: BranchMode): void {
    const envelope = this.traffic[at];
    if (!envelope) return;
    if (envelope.to.role === 'participant') return this.deliverToBranch(at, envelope.message as ToParticipant, mode);
    this.traffic.splice(at, 1);
    const owner = choose(this.owners, pick);
    if (owner?.state) return this.stepOwner(owner, { kind: 'MESSAGE', message: envelope.message as ToCoordinator });
    // Only an owner that has loaded its shard may presume; messages to nobody are lost.
    if (owner && envelope.message.kind === 'INQUIRY') this.answerByRegister(envelope.message.branch);
  }

  /** A message whose processing crashed stays in the traffic: its offset was not saved. */
  private deliverToBranch(at: number, message: ToParticipant, mode: BranchMode): void {
    const branch = this.branches[message.branch]!;
    if (!branch.up) return;
    if (mode === 'ok') this.traffic.splice(at, 1);
    this.stepBranch(branch, { kind: 'MESSAGE', message }, mode);
  }

  // -------------------------------------------------------------- branches

  /** One local database transaction: step, handler, row; then messages and timers. */
  private stepBranch(branch: Branch, input: ParticipantInput, mode: BranchMode): void {
    let result = this.machines.participant(branch.state, input, this.nowMs, branch.config);
    const action = result.ready.run?.action;
    if (action) {
      if (mode === 'crash-in-handler') return this.crash(branch);
      const vote = action === 'prepare' || action === 'prepare-and-commit' ? branch.vote : null;
      result = this.machines.participant(result.state, { kind: 'EXECUTED', vote }, this.nowMs, branch.config);
      applyWork(branch, action);
    }
    for (const { row } of result.ready.records) this.store(branch, row);
    this.checkSafety();
    if (mode === 'crash-before-send') return this.crash(branch);
    branch.state = result.state;
    this.traffic.push(...(result.ready.messages as readonly Envelope<ToCoordinator | PeerInquiry | PeerState>[]));
    setTimers(branch.timers, result.ready.timers);
  }

  private store(branch: Branch, row: BranchRow): void {
    const before = branch.row?.state;
    if (before !== undefined && before !== 'prepared' && before !== row.state) throw new Violation(`AC2: a branch went from ${before} to ${row.state}`);
    branch.row = row;
  }

  private crash(branch: Branch): void {
    branch.up = false;
    branch.timers.clear();
  }

  private recover(pick: number): void {
    const branch = choose(this.branches.filter(({ up }) => !up), pick);
    if (branch) this.restart(branch);
  }

  private restart(branch: Branch): void {
    branch.up = true;
    branch.state = branch.row ? { phase: 'stored', row: branch.row } : { phase: 'none' };
    this.stepBranch(branch, { kind: 'RECOVER' }, 'ok');
  }

  // -------------------------------------------------------------- time

  /** @param pick which timer fires; -1 the earliest */
  private fire(pick: number): void {
    const armed = [...this.owners, ...this.branches].flatMap((of) => [...of.timers].map(([name, timer]) => ({ of, name, timer })));
    armed.sort((a, b) => a.timer.atMs - b.timer.atMs);
    const chosen = pick === -1 ? armed[0] : choose(armed, pick);
    if (!chosen) return;
    const { of, name, timer } = chosen;
    of.timers.delete(name);
    this.nowMs = Math.max(this.nowMs, timer.atMs);
    const input = { kind: 'TIMER', timer: name, attempt: timer.attempt };
    if (of instanceof Branch) this.stepBranch(of, input as ParticipantInput, 'ok');
    else this.command(of, input as CoordinatorInput);
  }

  private quiet(): boolean {
    const timers = [...this.owners, ...this.branches].some((of) => of.timers.size > 0);
    return !timers && this.traffic.length === 0 && this.owners.every(({ unflushed }) => unflushed.length === 0);
  }

  // -------------------------------------------------------------- checks

  /** AC1, AC3, the client's answer and single effects, at any moment. AC2 is checked where rows and END are written. */
  private checkSafety(): void {
    const { branches, register } = this;
    const states = branches.map(({ row }) => row?.state ?? 'none');
    const words: string[] = [...states.filter((state) => state === 'committed' || state === 'aborted'), ...this.answers];
    if (register) words.push(register.decision === 'COMMIT' ? 'committed' : 'aborted');
    if (this.ended !== null) words.push(this.ended);
    if (new Set(words).size > 1) throw new Violation(`AC1: both outcomes: ${this.describe()}`);
    if (words.includes('committed') && states.some((state) => state === 'none' || state === 'aborted')) throw new Violation(`AC3: committed without every yes: ${this.describe()}`);
    if (branches.some(({ held, effects }) => held < 0 || held > 1 || effects > 1)) throw new Violation(`EFFECTS: more than one: ${this.describe()}`);
  }

  private checkEnd(): void {
    const { branches, begun } = this;
    if (begun && this.ended === null) throw new Violation(`AC5: begun but not ended: ${this.describe()}`);
    if (branches.some(({ row }) => row?.state === 'prepared')) throw new Violation(`AC5: a branch is left prepared: ${this.describe()}`);
    if (branches.some(({ held }) => held !== 0)) throw new Violation(`EFFECTS: something is still held: ${this.describe()}`);
    const applied = branches.every(({ effects, vote }) => effects === (this.ended === 'committed' && vote.vote === 'yes' ? 1 : 0));
    if (!applied) throw new Violation(`EFFECTS: not what the outcome says: ${this.describe()}`);
  }
}

/** What the handler's database work does to the branch's data: a yes holds, a commit turns the hold into an effect. */
function applyWork(branch: Branch, action: string): void {
  const yes = branch.vote.vote === 'yes';
  if (action === 'prepare' && yes) branch.held += 1;
  if (action === 'prepare-and-commit' && yes) branch.effects += 1;
  if (action === 'commit' || action === 'abort') branch.held -= 1;
  if (action === 'commit') branch.effects += 1;
}

function setTimers(timers: Map<string, Timer>, changes: readonly TimerChange<string>[]): void {
  for (const change of changes) {
    if ('cancel' in change) timers.delete(change.cancel);
    else timers.set(change.set, change);
  }
}

function choose<T>(items: readonly T[], pick: number): T | undefined {
  return items[pick % Math.max(items.length, 1)];
}
