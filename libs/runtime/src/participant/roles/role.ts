import type {
  AcceptorRow, AcceptorState, Envelope, PaxosLeaderState, PaxosLeaderTimer, ParticipantTimer, PaxosParticipantTimer, ProtocolMessage, Round, SiteRow,
  ThreePhaseParticipantTimer, TimerChange,
} from '#libs/protocol';
import type { AnyBranchRow, LeaderRow } from '../../ports.js';
import type { HandlerCall, HandlerResult } from '../types.js';

/** The machines that a site runs: a branch (or step) of each protocol, and the two roles of Paxos Commit that every site has. */
export type RoleName = AnyBranchRow['protocol'] | 'acceptor' | 'leader';

export type TimerName = ParticipantTimer | ThreePhaseParticipantTimer | PaxosParticipantTimer | PaxosLeaderTimer;

export type RoleInput =
  | { readonly kind: 'MESSAGE'; readonly message: ProtocolMessage }
  | { readonly kind: 'TIMER'; readonly timer: TimerName; readonly attempt: number }
  /** The row was loaded by a new owner: timers are to be armed. */
  | { readonly kind: 'RECOVER' };

/** A row and the table that it is in. */
export type Row =
  | { readonly table: 'branches'; readonly row: AnyBranchRow }
  | { readonly table: 'acceptors'; readonly row: AcceptorRow }
  | { readonly table: 'leaders'; readonly row: LeaderRow };

/**
 * What a machine knows that is not in its row. It may be lost at any moment, and then only costs time: votes are repeated, a round or a
 * ballot begins anew.
 */
export type Memory =
  | { readonly role: '3pc'; readonly site: SiteRow; readonly round: Round | null; readonly seen: number }
  | { readonly role: 'acceptor'; readonly state: Extract<AcceptorState, { phase: 'gathering' }> }
  | { readonly role: 'leader'; readonly state: PaxosLeaderState };

/** What a step leads to besides the new state. Empty but for `run` when that is set: the handler comes first. */
export interface Effects {
  /** To be written; null: it has not changed. */
  readonly row: Row | null;
  readonly messages: readonly Envelope[];
  readonly timers: readonly TimerChange<TimerName>[];
  readonly run: Omit<HandlerCall, 'txid' | 'branch' | 'protocol'> | null;
}

export interface Stepped<State> extends Effects {
  readonly state: State;
}

/** A machine of libs/protocol as the driver sees it. Everything here is pure. */
export interface Role<State> {
  readonly name: RoleName;
  /** Whether what is remembered was so when this row (null: none) was written. If not, the row alone counts. */
  belongs(memory: Memory, row: Row | null): boolean;
  begin(row: Row | null, memory: Memory | null): State;
  /** @throws UnexpectedInputError; then nothing has happened */
  step(state: State, input: RoleInput, nowMs: number): Stepped<State>;
  /** What the handler said goes on to the machine; null: it has failed to apply a decision, which stands and is to be repeated. */
  executed(state: State, result: HandlerResult, nowMs: number): Stepped<State> | null;
  /** What is to be remembered beside the row; null: nothing. */
  memory(state: State): Memory | null;
  /** A message that makes the machine apply the decision again that `executed` answered null for, whatever it forgets meanwhile. */
  again(state: State, message: ProtocolMessage): ProtocolMessage;
  /** Whether a branch whose timer was set with this attempt has asked everybody and nobody could tell. */
  isBlocked(attempt: number): boolean;
}

/** What most roles have in common. */
export const ROW_ALONE = {
  belongs: () => false,
  memory: () => null,
  again: (_state: unknown, message: ProtocolMessage) => message,
  isBlocked: () => false,
} as const;

/** A role that runs no handlers. */
export function noHandler(): never {
  throw new Error('this role runs no handlers');
}

/** One machine at one key, inside one attempt at a database transaction. */
export interface Actor {
  readonly role: RoleName;
  /** Began from the row alone: whatever was set up beside an earlier row is void. */
  readonly fresh: boolean;
  /** @throws UnexpectedInputError; then nothing has happened */
  step(input: RoleInput, nowMs: number): Effects;
  /** Takes the last step back. */
  undo(): void;
  executed(result: HandlerResult, nowMs: number): Effects | null;
  memory(): Memory | null;
  again(message: ProtocolMessage): ProtocolMessage;
}

/** A role without the type of its state, which is nobody's business but its own. */
export interface AnyRole {
  readonly name: RoleName;
  begin(row: Row | null, memory: Memory | null): Actor;
  isBlocked(attempt: number): boolean;
}

export function erase<State>(role: Role<State>): AnyRole {
  return {
    name: role.name,
    isBlocked: role.isBlocked,
    begin: (row, memory) => {
      const valid = memory !== null && memory.role === role.name && role.belongs(memory, row) ? memory : null;
      return new MachineActor(role, role.begin(row, valid), valid === null);
    },
  };
}

class MachineActor<State> implements Actor {
  readonly role: RoleName;
  private before: State;

  constructor(private readonly machine: Role<State>, private state: State, readonly fresh: boolean) {
    this.role = machine.name;
    this.before = state;
  }

  step(input: RoleInput, nowMs: number): Effects {
    return this.take(this.machine.step(this.state, input, nowMs));
  }

  undo(): void {
    this.state = this.before;
  }

  executed(result: HandlerResult, nowMs: number): Effects | null {
    const stepped = this.machine.executed(this.state, result, nowMs);
    return stepped === null ? null : this.take(stepped);
  }

  memory(): Memory | null {
    return this.machine.memory(this.state);
  }

  again(message: ProtocolMessage): ProtocolMessage {
    return this.machine.again(this.state, message);
  }

  private take(stepped: Stepped<State>): Effects {
    this.before = this.state;
    this.state = stepped.state;
    return stepped;
  }
}
