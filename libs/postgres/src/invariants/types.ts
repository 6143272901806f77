import type { Txid } from '#libs/protocol';

/** Anything that runs SQL: a pool or a client. */
export interface Queryable {
  query<Row>(text: string, values?: unknown[]): Promise<{ rows: Row[] }>;
}

export interface ShopDatabases {
  readonly coordinator: Queryable;
  readonly orders: Queryable;
  readonly payments: Queryable;
  readonly inventory: Queryable;
}

export const PARTICIPANTS = ['orders', 'payments', 'inventory'] as const;
export type ParticipantName = (typeof PARTICIPANTS)[number];

/** How a transaction ended: of branches, of saga steps. */
export type Outcome = 'committed' | 'aborted' | 'completed' | 'compensated';

/** What others say of the run, to be compared with the tables. Everything may be left out. */
export interface Evidence {
  /** What clients were told, by txid. */
  readonly answers?: ReadonlyMap<Txid, Outcome>;
  /** Idempotency keys of requests of which clients were told that they were certainly not taken. */
  readonly refusedKeys?: ReadonlySet<string>;
  /** Decisions as somebody read them from the register while it ran. */
  readonly decisionsSeen?: ReadonlyMap<Txid, string>;
  /** Final states of branches as somebody read them while it ran, by `<participant> <txid> <branch>`. */
  readonly branchesSeen?: ReadonlyMap<string, string>;
  /** Statuses of the outcome events, by txid. Given: every transaction must have one. */
  readonly events?: ReadonlyMap<Txid, ReadonlySet<string>>;
  /** Databases of acceptors that host nothing else, by the acceptor's name. */
  readonly acceptors?: Readonly<Record<string, Queryable>>;
  /** Old transactions may have left the coordinator's tables or the participants': what is not there any more is not missed. */
  readonly cleaned?: boolean;
}

/** One thing that is wrong, and the transaction that it belongs to. */
export interface Offender {
  readonly txid: Txid | null;
  readonly what: string;
}

export interface InvariantCheck {
  readonly name: string;
  readonly ok: boolean;
  /** What was counted, or the first few offenders. */
  readonly detail: string;
  readonly offenders: readonly Offender[];
}

export interface InvariantReport {
  readonly ok: boolean;
  /** `committed` and `aborted` count the sagas that completed and were compensated, too. */
  readonly transactions: { readonly total: number; readonly committed: number; readonly aborted: number; readonly byProtocol: Readonly<Record<string, Readonly<Record<string, number>>>> };
  readonly checks: readonly InvariantCheck[];
}

/** A branch, or a saga's step, as it was asked for. */
export interface AskedBranch {
  readonly participant: string;
  readonly operation: string;
  readonly orderId: string | null;
  /** Of a saga's step. */
  readonly kind: 'compensatable' | 'pivot' | 'retriable' | null;
  /** By an operator. */
  readonly skipped: boolean;
}

export interface AuditedTransaction {
  readonly txid: Txid;
  readonly protocol: string;
  readonly outcome: Outcome | 'pending';
  readonly decision: 'COMMIT' | 'ABORT' | null;
  readonly end: Outcome | null;
  readonly branches: readonly AskedBranch[];
  readonly acceptors: readonly string[];
  readonly key: string | null;
  /** An operator ended it although something was outstanding: its branches are not asked about. */
  readonly resolved: boolean;
}

export interface BranchState {
  readonly participant: ParticipantName;
  readonly txid: Txid;
  readonly branch: number;
  readonly state: string;
}

export function check(name: string, offenders: readonly Offender[], counted = 'none'): InvariantCheck {
  const ok = offenders.length === 0;
  const shown = offenders.slice(0, 5).map(({ txid, what }) => (txid === null ? what : `${txid} ${what}`)).join('; ');
  return { name, ok, detail: ok ? counted : `${offenders.length}: ${shown}${offenders.length > 5 ? '; ...' : ''}`, offenders };
}

/** Whether the outcome is that of a decision to commit. */
export function isCommit(outcome: Outcome | 'pending'): boolean {
  return outcome === 'committed' || outcome === 'completed';
}
