import type { Acceptors, BranchSpec, Decision, Json, ProtocolName, Reason, SagaSpec, SagaStepSpec, TransactionOutcome, Txid } from '#libs/protocol';
import type { BeginRow, ProgressRow, RegisterEntry, Spec, StoredTransaction } from '#libs/runtime';
import { decodeReports, type StoredReport } from './reports.js';

/** Of `tx_begin b` and STORED_JOINS: everything that the tables know of a transaction, but its timeline. */
export const STORED_COLUMNS = `
  b.txid, b.protocol, b.branches AS specs, b.saga, b.acceptors, b.metadata, b.created_at, b.deadline_at, b.wait_for, k.key, k.request_hash,
  d.decision, d.reason AS decision_reason, d.branches AS decision_branches, d.decided_at,
  e.outcome, e.reason AS end_reason, e.resolved, e.branches AS end_branches, e.finished_at,
  (SELECT jsonb_agg(jsonb_build_object('kind', p.kind, 'key', p.key, 'data', p.data) ORDER BY p.kind, p.key) FROM tx_progress p WHERE p.txid = b.txid) AS progress`;

export const DECISION_JOIN = 'LEFT JOIN tx_decision d ON d.txid = b.txid';
export const END_JOIN = 'LEFT JOIN tx_end e ON e.txid = b.txid';
export const KEY_JOIN = 'LEFT JOIN idempotency_key k ON k.key = b.idempotency_key AND k.txid = b.txid';
export const STORED_JOINS = `${DECISION_JOIN} ${END_JOIN} ${KEY_JOIN}`;

export interface StoredRow {
  readonly txid: Txid;
  readonly protocol: ProtocolName;
  readonly specs: readonly BranchSpec[] | readonly SagaStepSpec[];
  readonly saga: SagaSettings | null;
  readonly acceptors: Acceptors | null;
  readonly metadata: Json;
  readonly created_at: Date;
  readonly deadline_at: Date;
  readonly wait_for: Spec['waitFor'];
  readonly key: string | null;
  readonly request_hash: string | null;
  readonly decision: Decision | null;
  readonly decision_reason: Reason | null;
  readonly decision_branches: readonly StoredReport[] | null;
  readonly decided_at: Date | null;
  readonly outcome: TransactionOutcome | null;
  readonly end_reason: Reason | null;
  readonly resolved: Reason | null;
  readonly end_branches: readonly StoredReport[] | null;
  readonly finished_at: Date | null;
  readonly progress: readonly Omit<ProgressRow, 'txid'>[] | null;
}

/** What only a saga's begin holds. */
export type SagaSettings = Pick<SagaSpec, 'compensationTimeoutMs' | 'attentionAfterAttempts'>;

export function storedTransaction(row: StoredRow): StoredTransaction {
  return { begin: beginOf(row), register: registerOf(row), progress: (row.progress ?? []).map((p) => ({ txid: row.txid, ...p })), end: endOf(row) };
}

function beginOf(row: StoredRow): BeginRow {
  const idempotency = row.key === null ? null : { key: row.key, requestHash: row.request_hash! };
  return { spec: specOf(row), acceptors: row.acceptors ?? [], metadata: row.metadata, idempotency };
}

function specOf(row: StoredRow): Spec {
  const common = { txid: row.txid, createdAtMs: row.created_at.getTime(), deadlineMs: row.deadline_at.getTime(), waitFor: row.wait_for };
  if (row.protocol === 'saga') return { ...common, protocol: row.protocol, steps: row.specs as readonly SagaStepSpec[], ...row.saga! };
  return { ...common, protocol: row.protocol, branches: row.specs };
}

function registerOf(row: StoredRow): RegisterEntry | null {
  if (row.decision === null) return null;
  return { decision: row.decision, reason: row.decision_reason, branches: decodeReports(row.decision_branches!), atMs: row.decided_at!.getTime() };
}

function endOf(row: StoredRow): StoredTransaction['end'] {
  if (row.outcome === null) return null;
  return { txid: row.txid, outcome: row.outcome, reason: row.end_reason, resolved: row.resolved, branches: decodeReports(row.end_branches!), atMs: row.finished_at!.getTime() };
}
