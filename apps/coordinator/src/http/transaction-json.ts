import type { BranchView, TimelineEvent, TransactionView } from '#libs/runtime';

/** A transaction as the API shows it: the view with ISO 8601 times. */
export function transactionJson(view: TransactionView): Record<string, unknown> {
  return {
    id: view.txid,
    protocol: view.protocol,
    status: view.status,
    createdAt: iso(view.createdAtMs),
    deadlineAt: iso(view.deadlineMs),
    decidedAt: isoOrNull(view.decidedAtMs),
    finishedAt: isoOrNull(view.finishedAtMs),
    reason: view.reason,
    branches: view.branches.map(branchJson),
    metadata: view.metadata,
  };
}

function branchJson(branch: BranchView): Record<string, unknown> {
  const { index, participant, operation, state, vote, attempts, result } = branch;
  return { index, participant, operation, state, vote, attempts, result };
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
