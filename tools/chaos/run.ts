// One chaos run: load and faults, then heal, drain, audit.
import { PROTOCOL_NAMES } from '../../libs/protocol/src/messages.ts';
import { withProgress } from '../stack/progress.ts';
import { auditAtRest, auditEvents, evidenceOf, factsOf } from './audit.ts';
import { ChaosCluster } from './cluster.ts';
import { injectFaults } from './inject.ts';
import { type MemorySample, sampleMemory } from './memory.ts';
import type { ChaosOptions } from './options.ts';
import { probe } from './probe.ts';
import { recoveries } from './recovery.ts';
import type { ChaosReport, Violation } from './report.ts';
import { requestSource } from './requests.ts';
import { describeFault, type Fault, makeSchedule, PROCESSES } from './schedule.ts';
import type { UnaskedEnd } from '../start/service-process.ts';
import type { Setting } from './setting.ts';
import { Traffic } from './traffic.ts';
import { Watch } from './watch.ts';

const DRAIN_LIMIT_MS = 180_000;
const PROGRESS_MS = 10_000;
const MEMORY_MS = 2_000;

/** @throws SetupError when the stack cannot be started */
export async function runChaos(options: ChaosOptions, { dataDir, log, signal, undo }: Setting): Promise<ChaosReport | null> {
  const faults = makeSchedule(options);
  log(`seed ${options.seed}: ${faults.length} faults in ${options.minutes} minutes`);
  const unaskedEnds: UnaskedEnd[] = [];
  const cluster = await withProgress('starting PostgreSQL, Kafka and 8 processes', log, () => ChaosCluster.start({
    dataDir, log, processes: PROCESSES, proxied: true, env: {},
    onUnaskedEnd: (end) => {
      unaskedEnds.push(end);
      log(`${end.process} ended by itself (${end.how})${end.wasReady ? '' : ' while it was starting'}; its log ends:\n${end.lastLines.map((line) => `    ${line}`).join('\n')}`);
    },
  }, undo));
  const startedAt = new Date().toISOString();
  const began = performance.now();
  const now = (): number => performance.now() - began;
  const traffic = new Traffic({ urls: cluster.coordinatorUrls, token: cluster.tokens.submit, requests: requestSource(`x${Date.now().toString(36)}`, options.seed, options.protocols), now });
  undo.push(() => traffic.close());
  const watch = new Watch({ pools: cluster.pools, now, told: traffic.told });
  watch.start();
  undo.push(() => watch.stop());
  const memory: MemorySample[] = [];
  const under = new Set<Fault>();
  const tickers = [
    setInterval(() => log(progressLine(now(), traffic, watch, under)), PROGRESS_MS),
    setInterval(() => memory.push(sampleMemory(now(), new Map([...cluster.processes].map(([name, process]) => [name, process.pid])))), MEMORY_MS),
  ];
  undo.push(async () => tickers.forEach(clearInterval));

  const [injected] = await Promise.all([
    injectFaults({
      cluster, faults, now, signal,
      onBegin: (fault) => { under.add(fault); log(`${clock(now())}  fault ${fault.n} of ${faults.length}: ${describeFault(fault)}`); },
      onEnd: ({ fault, error }) => { under.delete(fault); log(`${clock(now())}  fault ${fault.n} is over${error === null ? '' : `: ${error}`}`); },
    }),
    traffic.offer(options.ratePerSecond, options.minutes * 60, signal),
  ]);
  await cluster.heal();
  if (signal.aborted) return null;
  const healedMs = now();

  log(`${clock(now())}  everything is healed; waiting for the last answers`);
  await traffic.settle(DRAIN_LIMIT_MS);
  const violations: Violation[] = await probe(cluster, options.protocols, PROTOCOL_NAMES, signal);
  await watch.stop();
  const evidence = evidenceOf(traffic.told, watch);
  log(`${clock(now())}  auditing`);
  const { report: atRest, tookMs } = await auditAtRest(cluster, evidence, DRAIN_LIMIT_MS, signal);
  const drainMs = tookMs === null ? null : now() - healedMs;
  const audit = tookMs === null ? atRest : await auditEvents(cluster, evidence);
  if (signal.aborted) return null;

  violations.push(
    ...audit.checks.flatMap((check) => check.offenders.map(({ txid, what }) => ({ check: check.name, txid, what }))),
    ...traffic.contradictions.map(({ txid, what }) => ({ check: 'no client was told a contradiction', txid, what })),
    ...traffic.told.filter((t) => t.outcome === 'unknown').map((t) => ({ check: 'every client learnt the outcome', txid: t.txid, what: `${t.request.protocol} ${t.request.key}: ${t.code}` })),
    ...(traffic.totals().outstanding === 0 ? [] : [{ check: 'every client learnt the outcome', txid: null, what: `${traffic.totals().outstanding} requests have no answer yet` }]),
    ...watch.changes.map(({ txid, what }) => ({ check: 'no decision is reversed', txid, what })),
    ...unaskedEnds.filter((end) => end.wasReady).map((end) => ({ check: 'no process ends by itself', txid: null, what: `${end.process} (${end.how}): ${end.lastLines.at(-1) ?? ''}` })),
    ...injected.filter(({ error }) => error !== null).map(({ fault, error }) => ({ check: 'servers come back', txid: null, what: `${describeFault(fault)}: ${error}` })),
  );
  const suspects = [...new Set(violations.flatMap(({ txid }) => txid ?? []))].slice(0, 20);
  const facts: Record<string, unknown> = {};
  for (const txid of suspects) facts[txid] = await factsOf(cluster, txid, traffic.told);
  const seconds = traffic.series.seconds();
  return {
    seed: options.seed, minutes: options.minutes, ratePerSecond: options.ratePerSecond, protocols: Object.fromEntries(options.protocols), startedAt,
    faults: injected, recoveries: recoveries(injected, seconds.slice(0, Math.floor(options.minutes * 60)), options.ratePerSecond),
    traffic: traffic.totals(), latency: traffic.latency.summary(), transactions: audit.transactions,
    checks: audit.checks.map(({ name, ok, detail }) => ({ name, ok, detail })),
    longestInDoubtMs: watch.longestInDoubtMs(), drainMs, unaskedEnds, violations, evidence: facts, seconds, doubt: watch.doubt, memory, dataDir: dataDir.path,
  };
}

function progressLine(nowMs: number, traffic: Traffic, watch: Watch, under: ReadonlySet<Fault>): string {
  const { offered, shed, told, followedUp, outstanding } = traffic.totals();
  const sums: Record<string, number> = {};
  for (const counts of Object.values(told)) for (const [outcome, n] of Object.entries(counts)) sums[outcome] = (sums[outcome] ?? 0) + n;
  const doubt = watch.doubt.at(-1);
  const lately = traffic.series.seconds().slice(-11, -1);
  const rate = lately.reduce((sum, second) => sum + second.answered, 0) / Math.max(1, lately.length);
  return `${clock(nowMs)}  offered ${offered + shed}, ${Object.entries(sums).map(([outcome, n]) => `${outcome} ${n}`).join(', ')}, asked again ${followedUp}, open ${outstanding}; ${rate.toFixed(0)}/s`
    + `${doubt === undefined ? '' : `; in doubt ${doubt.count} (${(doubt.oldestMs / 1000).toFixed(1)} s)`}; faults now: ${[...under].map((f) => f.n).join(', ') || 'none'}`;
}

export function clock(ms: number): string {
  const total = Math.max(0, Math.floor(ms / 1000));
  return `${String(Math.floor(total / 60)).padStart(2, '0')}:${String(total % 60).padStart(2, '0')}`;
}

