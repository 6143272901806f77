import type { SagaAttention } from '#libs/protocol';
import type { BranchView, TimelineEvent, TransactionView } from '#libs/runtime';

/** A transaction as the API shows it: the view with ISO 8601 times. The steps of a saga are its `branches`, each with what makes it a step. */
export function transactionJson(view: TransactionView): Record<string, unknown> {
  return {
    id: view.txid,
    protocol: view.protocol,
    status: view.status,
    decision: view.decision,
    createdAt: iso(view.createdAtMs),
    deadlineAt: iso(view.deadlineMs),
    decidedAt: isoOrNull(view.decidedAtMs),
    finishedAt: isoOrNull(view.finishedAtMs),
    reason: view.reason,
    branches: view.branches.map(branchJson),
    attention: view.attention === null ? null : attentionJson(view.attention),
    resolved: view.resolved,
    metadata: view.metadata,
  };
}

function branchJson(branch: BranchView): Record<string, unknown> {
  const { index, participant, operation, state, vote, attempts, result, reason, step } = branch;
  const common = { index, participant, operation, state, vote, attempts, result, reason };
  return step === null ? common : { ...common, id: step.id, kind: step.kind, after: step.after };
}

function attentionJson({ step, why, atMs }: SagaAttention): Record<string, unknown> {
  return { step, reason: why, at: iso(atMs) };
}

export function timelineJson(event: TimelineEvent): Record<string, unknown> {
  const { atMs, type, name, from, to, branch, detail } = event;
  return { at: iso(atMs), type, name, from, to, ...(branch === undefined ? {} : { branch }), ...(detail === undefined ? {} : { detail }) };
}

export function iso(ms: number): string {
  return new Date(ms).toISOString();
}

export function isoOrNull(ms: number | null): string | null {
  return ms === null ? null : iso(ms);
}
