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

/** The beginnings of times, up to their milliseconds, by their seconds: most times are of the same few seconds. */
const seconds = new Map<number, string>();
const MAX_SECONDS = 200;

/** As `Date.toISOString`. @param ms since the epoch, not before it */
export function iso(ms: number): string {
  const second = Math.floor(ms / 1000);
  let text = seconds.get(second);
  if (text === undefined) {
    if (seconds.size >= MAX_SECONDS) seconds.clear();
    text = new Date(second * 1000).toISOString().slice(0, -4);
    seconds.set(second, text);
  }
  const rest = Math.trunc(ms) - second * 1000;
  return `${text}${rest < 10 ? '00' : rest < 100 ? '0' : ''}${rest}Z`;
}

export function isoOrNull(ms: number | null): string | null {
  return ms === null ? null : iso(ms);
}
