// One participant slow, then dead: transactions that do not touch it keep their rate and their latency.
import { setTimeout as sleep } from 'node:timers/promises';
import type { ProtocolName } from '../../libs/protocol/src/messages.ts';
import { auditAtRest } from './audit.ts';
import type { PhaseResult } from './http-load.ts';
import type { ChaosOptions } from './options.ts';
import type { Violation } from './report.ts';
import { table } from '../report/text.ts';
import { only } from './requests.ts';
import type { ProcessName } from './schedule.ts';
import type { Setting } from './setting.ts';
import { checkouts, startSmallCluster } from './small-cluster.ts';

const SLOW: readonly ProcessName[] = ['payments-1'];
const SLOW_MS = 2_000;
const TIMEOUT_MS = 5_000;
/** The neighbours: this share of what is offered commits, and p95 is not above this many times that of before (or the amount). */
const FULL = 0.97;
const SLOWER = 2;
const ALWAYS_FAST_MS = 150;

export interface SlowParticipantReport {
  readonly seed: number;
  readonly ratePerSecond: number;
  /** Of transactions that touch the slow participant, and of the others; in the order of the parts. */
  readonly touching: readonly PhaseResult[];
  readonly others: readonly PhaseResult[];
  readonly violations: readonly Violation[];
}

export async function runSlowParticipant(options: ChaosOptions, setting: Setting): Promise<SlowParticipantReport | null> {
  const { log, signal } = setting;
  const { cluster, load, unaskedEnds } = await startSmallCluster(setting, { processes: ['coordinator-1', 'orders-1', 'payments-1', 'inventory-1'], proxied: true, env: {} });
  const whole = checkouts(options.seed, options.protocols);
  const touching: PhaseResult[] = [];
  const others: PhaseResult[] = [];
  const part = async (name: string): Promise<void> => {
    log(`${name}: ${options.seconds} s`);
    const rate = options.ratePerSecond / 2;
    const [one, other] = await Promise.all([
      load.phase(name, rate, options.seconds, () => withTimeout(whole()), signal),
      load.phase(name, rate, options.seconds, () => withTimeout(neighbour(whole())), signal),
    ]);
    touching.push(one);
    others.push(other);
  };
  const ways = SLOW.map((name) => cluster.proxy(name, 'postgres'));
  await part('before');
  await Promise.all(ways.map((way) => way.set({ kind: 'delay', delayMs: SLOW_MS })));
  await part('payments slow');
  await Promise.all(ways.map((way) => way.set({ kind: 'pass' })));
  await Promise.all(SLOW.map((name) => cluster.process(name).kill9()));
  await part('payments dead');
  for (const name of SLOW) cluster.process(name).start();
  await Promise.all(SLOW.map((name) => cluster.process(name).ready()));
  await sleep(2_000);
  await part('after');
  if (signal.aborted) return null;
  const { report } = await auditAtRest(cluster, { answers: load.answers as never }, 120_000, signal);
  return {
    seed: options.seed, ratePerSecond: options.ratePerSecond, touching, others,
    violations: [
      ...report.checks.flatMap((check) => check.offenders.map(({ txid, what }) => ({ check: check.name, txid, what }))),
      ...unaskedEnds.map((end) => ({ check: 'no process ends by itself', txid: null, what: `${end.process} (${end.how})` })),
      ...slowed(others),
    ],
  };
}

function withTimeout(body: unknown): unknown {
  return { ...(body as object), timeoutMs: TIMEOUT_MS };
}

/** What of a checkout does not touch payments: of a saga, whose order is confirmed after its pivot only, the reservation. */
function neighbour(whole: ReturnType<ReturnType<typeof checkouts>>): unknown {
  return whole.protocol === 'saga' ? { protocol: 'saga' satisfies ProtocolName, steps: whole.steps.filter((step) => step.participant === 'inventory') } : only(whole, ['orders', 'inventory']);
}

/** The neighbours' parts that were not as before. */
export function slowed([before, ...parts]: readonly PhaseResult[]): readonly Violation[] {
  const bound = Math.max(ALWAYS_FAST_MS, before!.latency.p95 * SLOWER);
  return parts.flatMap((part) => {
    const share = (part.statuses.committed ?? 0) + (part.statuses.completed ?? 0);
    const offered = part.offeredPerSecond * part.seconds;
    return [
      ...(share >= offered * FULL ? [] : [{ check: 'others keep their rate', txid: null, what: `${part.name}: ${share} of ${offered.toFixed(0)} committed` }]),
      ...(part.latency.p95 <= bound ? [] : [{ check: 'others keep their latency', txid: null, what: `${part.name}: p95 ${part.latency.p95.toFixed(0)} ms, before ${before!.latency.p95.toFixed(0)} ms` }]),
    ];
  });
}

export function renderSlowParticipant(report: SlowParticipantReport): string {
  const ms = (value: number): string => (Number.isNaN(value) ? '-' : value.toFixed(0));
  const row = (who: string) => (p: PhaseResult): readonly string[] => [p.name, who, p.offeredPerSecond.toFixed(0), p.achievedPerSecond.toFixed(1), String((p.statuses.committed ?? 0) + (p.statuses.completed ?? 0)), ms(p.latency.p50), ms(p.latency.p95), ms(p.latency.p99), Object.entries(p.reasons).map(([code, n]) => `${code} ${n}`).join(', ')];
  return [
    ...table(['part', 'transactions', 'offered/s', 'outcomes/s', 'committed', 'p50 ms', 'p95 ms', 'p99 ms', 'why not'], report.touching.flatMap((p, i) => [row('with payments')(p), row('without')(report.others[i]!)])),
    report.violations.length === 0 ? 'the others did not notice' : `${report.violations.length} VIOLATIONS`,
    ...report.violations.slice(0, 20).map(({ check, txid, what }) => `  ${check}: ${txid === null ? '' : `${txid} `}${what}`),
  ].join('\n');
}
