// After the load: waits until everything is at rest, then compares the tables with everything that was seen and told.
import { setTimeout as sleep } from 'node:timers/promises';
import { checkInvariants, type Evidence, type InvariantReport } from '#libs/postgres';
import type { Txid } from '#libs/protocol';
import type { ChaosCluster } from './cluster.ts';
import { readOutcomeEvents } from './outcome-events.ts';
import { isCertain, type Told } from './traffic.ts';
import type { Watch } from './watch.ts';

const PAUSE_MS = 1_000;

export interface AuditResult {
  readonly report: InvariantReport;
  /** Since the call; null: something did not hold until the limit. */
  readonly tookMs: number | null;
}

/** Repeats the audit until everything holds, or `limitMs` is over: what is broken then is a violation. */
export async function auditAtRest(cluster: ChaosCluster, evidence: Evidence, limitMs: number, signal: AbortSignal): Promise<AuditResult> {
  const began = Date.now();
  for (;;) {
    const report = await checkInvariants(cluster.pools, evidence);
    if (report.ok) return { report, tookMs: Date.now() - began };
    if (Date.now() - began > limitMs || signal.aborted) return { report, tookMs: null };
    await sleep(PAUSE_MS);
  }
}

/** With the outcome events, which are read once more if one is missing: they may leave a moment after the end. */
export async function auditEvents(cluster: ChaosCluster, evidence: Evidence): Promise<InvariantReport> {
  for (let attempt = 1; ; attempt++) {
    const report = await checkInvariants(cluster.pools, { ...evidence, events: await readOutcomeEvents(cluster.kafka.brokers, 'concordat.outcomes') });
    if (report.ok || attempt === 4) return report;
    await sleep(2_000);
  }
}

export function evidenceOf(told: readonly Told[], watch: Watch | null): Evidence {
  return {
    answers: new Map(told.filter(isCertain).map((t) => [t.txid as Txid, t.outcome as 'committed'])),
    refusedKeys: new Set(told.filter((t) => t.outcome === 'not-taken').map((t) => t.request.key)),
    ...(watch === null ? {} : { decisionsSeen: watch.decisions, branchesSeen: watch.branches }),
  };
}

const FACTS: readonly (readonly [keyof ChaosCluster['pools'], readonly string[]])[] = [
  ['coordinator', ['tx_begin', 'tx_decision', 'tx_end', 'tx_open', 'tx_progress']],
  ...(['orders', 'payments', 'inventory'] as const).map((name) => [name, ['concordat_branch', 'concordat_acceptor', 'concordat_leader']] as const),
];

/** Every row about the transaction, timelines included, and what its client was told. */
export async function factsOf(cluster: ChaosCluster, txid: string, told: readonly Told[]): Promise<Readonly<Record<string, unknown>>> {
  const facts: Record<string, unknown> = { told: told.filter((t) => t.txid === txid) };
  for (const [database, tables] of FACTS) {
    for (const table of tables) {
      try {
        const { rows } = await cluster.pools[database].query<{ row: unknown }>(`SELECT to_jsonb(t) AS row FROM ${table} t WHERE txid = $1`, [txid]);
        if (rows.length > 0) facts[`${database}.${table}`] = rows.map((r) => r.row);
      } catch {
        // A table that this version does not have.
      }
    }
  }
  return facts;
}
