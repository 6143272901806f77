/**
 * Runs a scenario: a text file of commands (`> ...`) each followed by what the machines answered, indented. Blank lines and
 * lines that start with `#` are for people. Only messages that a machine has sent can be delivered, so a scenario cannot
 * show what could not happen. After the interaction transcripts of etcd-io/raft (testdata/*.txt).
 *
 *   > begin orders.create payments.debit [wait=finished]   START of a transaction
 *   > deliver VOTE 0                 the latest VOTE of branch 0 arrives (again, if it arrived before)
 *   > says 0 yes | no CODE | read-only | done              the handler of branch 0 has run
 *   > register                       the register takes the oldest DECIDE and answers with what it holds
 *   > register holds COMMIT|ABORT CODE                     another owner was faster
 *   > timer coordinator prepare-timeout | timer 0 inquire  time passes until the timer fires
 *   > cancel | resolve | retry       a client cancels, an operator resolves or retries
 *   > crash coordinator | crash 0    memory is lost; records are not
 *   > recover coordinator | recover 0
 */
import {
  makeTxid, stepCoordinator, stepParticipant, UnexpectedInputError,
  type BranchRow, type CoordinatorConfig, type CoordinatorInput, type CoordinatorRecord, type CoordinatorState, type Decision, type Envelope, type HandlerVote,
  type ParticipantConfig, type ParticipantInput, type ParticipantState, type Reason, type TimerChange, type ToCoordinator, type ToParticipant, type TransactionSpec,
  type VoteKind,
} from '../src/index.js';

const START_MS = Date.UTC(2026, 0, 1);
const TIMEOUT_MS = 10_000;
const TXID = makeTxid(1, START_MS, new Uint8Array(8));
const COORDINATOR: CoordinatorConfig = { resendAfterMs: 1000, maxResendIntervalMs: 30_000 };
const PARTICIPANT: Omit<ParticipantConfig, 'name'> = { inquireAfterMs: 5000, maxInquireIntervalMs: 60_000, askPeersAfterInquiries: 2 };
const NONE: ParticipantState = { phase: 'none' };

type Sent = Envelope<ToCoordinator | ToParticipant>;
type Decide = Extract<CoordinatorRecord, { kind: 'DECIDE' }>;
type Register = Pick<Decide, 'decision' | 'reason' | 'branches' | 'atMs'>;

/** The text of the scenario as it should be: its commands and comments, with the answers that the machines give. */
export function play(text: string): string {
  const world = new World();
  const lines = text.split('\n').filter((line) => !line.startsWith('  '));
  return lines.flatMap((line) => (line.startsWith('> ') ? [line, ...world.command(line.slice(2).split(' ')).map((answer) => `  ${answer}`)] : [line])).join('\n');
}

class World {
  private nowMs = START_MS;
  private spec: TransactionSpec | null = null;
  private coordinator: CoordinatorState | null = null;
  private readonly branches = new Map<number, ParticipantState>();
  private readonly rows = new Map<number, BranchRow>();
  private readonly timers = new Map<string, { atMs: number; attempt: number }>();
  private readonly sent: Sent[] = [];
  private readonly proposals: Decide[] = [];
  private held: Register | null = null;

  command(words: string[]): string[] {
    const [verb, ...rest] = words as [string, ...string[]];
    switch (verb) {
      case 'begin': return this.begin(rest);
      case 'deliver': return this.deliver(rest[0]!, Number(rest[1]));
      case 'says': return this.stepBranch(Number(rest[0]), { kind: 'EXECUTED', vote: handlerVote(rest[1]!, rest[2]) });
      case 'register': return rest[0] === 'holds' ? this.otherOwner(rest[1] as Decision, rest[2]) : this.register();
      case 'timer': return this.fire(rest[0]!, rest[1]!);
      case 'cancel': return this.stepCoordinator({ kind: 'CANCEL', reason: { code: 'CANCELLED' } });
      case 'resolve': return this.stepCoordinator({ kind: 'RESOLVE', reason: { code: 'RESOLVED_BY_OPERATOR' } });
      case 'retry': return this.stepCoordinator({ kind: 'RETRY_NOW' });
      case 'crash': return this.crash(rest[0]!);
      case 'recover': return this.recover(rest[0]!);
      default: throw new Error(`no such command: ${verb}`);
    }
  }

  private begin(words: string[]): string[] {
    const branches = words.filter((word) => !word.includes('=')).map((word) => {
      const [participant, operation] = word.split('.') as [string, string];
      return { participant, operation, payload: {} };
    });
    const waitFor = words.includes('wait=finished') ? 'finished' : 'decided';
    this.spec = { txid: TXID, protocol: '2pc', branches, createdAtMs: START_MS, deadlineMs: START_MS + TIMEOUT_MS, waitFor };
    return this.stepCoordinator({ kind: 'START', spec: this.spec });
  }

  private deliver(kind: string, branch: number): string[] {
    const envelope = this.sent.findLast(({ message }) => message.kind === kind && message.branch === branch);
    if (!envelope) throw new Error(`no ${kind} of branch ${branch} was sent`);
    const { message } = envelope;
    if (envelope.to.role === 'coordinator') return this.stepCoordinator({ kind: 'MESSAGE', message: message as ToCoordinator });
    return this.stepBranch(branch, { kind: 'MESSAGE', message: message as ToParticipant });
  }

  private register(): string[] {
    const proposal = this.proposals.shift();
    if (!proposal) throw new Error('nothing was proposed');
    this.held ??= proposal;
    const { decision, reason, branches, atMs } = this.held;
    const answer = `register: ${decision}${reason ? ` ${reason.code}` : ''}`;
    return [answer, ...this.stepCoordinator({ kind: 'REGISTERED', decision, reason, branches, atMs })];
  }

  private otherOwner(decision: Decision, code?: string): string[] {
    const branches = decision === 'ABORT' ? [] : this.spec!.branches.map(() => ({ vote: 'yes', reason: null, result: null, acked: false, attempts: 1 } as const));
    this.held ??= { decision, reason: code === undefined ? null : { code }, branches, atMs: this.nowMs };
    return [`register: ${this.held.decision}`];
  }

  private fire(owner: string, name: string): string[] {
    const key = `${owner} ${name}`;
    const timer = this.timers.get(key);
    if (!timer) throw new Error(`timer ${key} is not set`);
    this.timers.delete(key);
    this.nowMs = Math.max(this.nowMs, timer.atMs);
    const { attempt } = timer;
    const passed = `${this.nowMs - START_MS} ms after the start`;
    if (owner === 'coordinator') return [passed, ...this.stepCoordinator({ kind: 'TIMER', timer: name as 'resend', attempt })];
    return [passed, ...this.stepBranch(Number(owner), { kind: 'TIMER', timer: name as 'inquire', attempt })];
  }

  private crash(owner: string): string[] {
    for (const key of this.timers.keys()) if (key.startsWith(`${owner} `)) this.timers.delete(key);
    if (owner === 'coordinator') {
      this.coordinator = null;
      this.proposals.length = 0;
      return ['coordinator: down'];
    }
    const row = this.rows.get(Number(owner));
    this.branches.set(Number(owner), row ? { phase: 'stored', row } : NONE);
    return [`${this.name(Number(owner))}: down`];
  }

  private recover(owner: string): string[] {
    if (owner !== 'coordinator') return this.stepBranch(Number(owner), { kind: 'RECOVER' });
    return this.stepCoordinator({ kind: 'RECOVER', spec: this.spec!, register: this.held });
  }

  private stepCoordinator(input: CoordinatorInput): string[] {
    const before = this.coordinator?.phase ?? 'none';
    return refusals(() => {
      const { state, ready, ignored } = stepCoordinator(this.coordinator, input, this.nowMs, COORDINATOR);
      this.coordinator = state;
      this.sent.push(...ready.messages);
      this.proposals.push(...ready.records.filter((record) => record.kind === 'DECIDE'));
      return [
        changed('coordinator', before, state.phase),
        ...ignored ? [`ignored: ${ignored}`] : [],
        ...ready.records.map(recordText),
        ...ready.messages.map((envelope) => this.sendText(envelope)),
        ...ready.timers.map((change) => this.timer('coordinator', change)),
      ];
    });
  }

  private stepBranch(branch: number, input: ParticipantInput): string[] {
    const before = this.branches.get(branch) ?? NONE;
    return refusals(() => {
      const { state, ready, ignored } = stepParticipant(before, input, this.nowMs, { ...PARTICIPANT, name: this.spec!.branches[branch]!.participant });
      this.branches.set(branch, state);
      this.sent.push(...ready.messages);
      for (const { row } of ready.records) this.rows.set(branch, row);
      return [
        changed(this.name(branch), phaseOf(before), phaseOf(state)),
        ...ignored ? [`ignored: ${ignored}`] : [],
        ...ready.run ? [`run ${ready.run.action} ${ready.run.operation}`] : [],
        ...ready.records.map(({ row }) => `store ${row.state}${row.reason ? ` ${row.reason.code}` : ''}`),
        ...ready.messages.map((envelope) => this.sendText(envelope)),
        ...ready.timers.map((change) => this.timer(String(branch), change)),
      ];
    });
  }

  private timer(owner: string, change: TimerChange<string>): string {
    if ('cancel' in change) {
      this.timers.delete(`${owner} ${change.cancel}`);
      return `cancel ${change.cancel}`;
    }
    this.timers.set(`${owner} ${change.set}`, change);
    return `set ${change.set} in ${change.atMs - this.nowMs} ms${change.attempt > 0 ? ` (attempt ${change.attempt})` : ''}`;
  }

  private sendText({ to, message }: Sent): string {
    return `send ${messageText(message)} -> ${to.role === 'coordinator' ? 'coordinator' : this.name(message.branch)}`;
  }

  private name(branch: number): string {
    return `${this.spec!.branches[branch]!.participant}/${branch}`;
  }
}

function refusals(run: () => string[]): string[] {
  try {
    return run();
  } catch (error) {
    if (error instanceof UnexpectedInputError) return [`refused: ${error.message.replace(TXID, 'tx')}`];
    throw error;
  }
}

function handlerVote(word: string, code: string | undefined): HandlerVote | null {
  if (word === 'done') return null;
  return { vote: word as VoteKind, ...(code !== undefined && { reason: { code } }) };
}

function phaseOf(state: ParticipantState): string {
  if (state.phase === 'stored') return state.row.state;
  return state.phase === 'running' ? `running ${state.action}` : 'none';
}

function changed(machine: string, before: string, after: string): string {
  return before === after ? `${machine}: ${after}` : `${machine}: ${before} -> ${after}`;
}

function recordText(record: CoordinatorRecord): string {
  switch (record.kind) {
    case 'BEGIN': return 'store BEGIN';
    case 'DECIDE': return `store DECIDE ${record.decision}${reasonText(record.reason)}`;
    case 'END': return `store END ${record.outcome}${reasonText(record.reason)}`;
  }
}

function reasonText(reason: Reason | null | undefined): string {
  if (!reason) return '';
  return ` ${reason.code}${reason.participant === undefined ? '' : ` (${reason.participant})`}`;
}

function messageText(message: ToCoordinator | ToParticipant): string {
  switch (message.kind) {
    case 'VOTE': return `VOTE ${message.vote}${reasonText(message.reason)}`;
    case 'ABORT': return `ABORT${reasonText(message.reason)}${message.ack ? ', ACK asked' : ''}`;
    case 'ABORT_ONE_PHASE': return `ABORT_ONE_PHASE${reasonText(message.reason)}`;
    case 'ONE_PHASE_OUTCOME': return `ONE_PHASE_OUTCOME ${message.outcome}${reasonText(message.reason)}`;
    case 'PEER_STATE': return `PEER_STATE ${message.state} of branch ${message.from}`;
    default: return message.kind;
  }
}
