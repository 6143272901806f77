// One configuration: warm-up, measured time, drain, audit.
import { randomBytes } from 'node:crypto';
import type { Assignment, Result } from '../../apps/loadtest/src/contract.ts';
import { auditAnswers, auditMonolith, auditShop, untilAtRest, untilItHolds } from './audit.ts';
import { costOf } from './counters.ts';
import { assignmentsFor, runGenerators } from './generators.ts';
import { LiveView, type Place } from './live.ts';
import { endedWithin, latencyOf } from './merge.ts';
import { momentsFromTables, momentsOverHttp, summarisePhases } from './phases.ts';
import type { AuditCheck, Phase, RunReport } from './report-types.ts';
import { Sampler } from './sampler.ts';
import { isLocal, nameOf, type RunSettings } from './settings.ts';
import type { Stack } from './stack.ts';
import { Warmup } from './warmup.ts';
import { orderPrefixAt } from './windowed-stack.ts';

export interface RunSetting {
  readonly stack: Stack;
  readonly localPool: number;
  readonly drainSeconds: number;
  readonly say: (line: string) => void;
  readonly isTerminal: boolean;
  readonly signal: AbortSignal;
  /** How often its warm-up an open loop warms up at most, if it is not steady before. */
  readonly stretch?: number;
}

const STRETCH = 10;

/** Its place among all runs, and its round, from 0. */
export type RunPlace = Omit<Place, 'name'> & { readonly round: number };

/** @throws Error when a generator fails, or the stack does not answer */
export async function runOnce(settings: RunSettings, place: RunPlace, setting: RunSetting): Promise<RunReport> {
  const { stack, say, signal } = setting;
  const name = [nameOf(settings), ...(stack.label === undefined ? [] : [stack.label])].join(', ');
  const startedAt = new Date().toISOString();
  const idPrefix = `${orderPrefixAt(Date.now())}${randomBytes(3).toString('hex')}`;
  let generators: ReadonlyMap<string, number> = new Map();
  const sampler = new Sampler({ pids: () => new Map([...generators, ...stack.pids()]), counters: () => stack.counters() }, settings.seconds);
  const warmup = new Warmup(settings, setting.stretch ?? STRETCH);
  const view = new LiveView({ ...place, name }, { ...settings, warmupSeconds: warmup.mostSeconds }, setting);
  const result = await runGenerators(assignmentsFor(settings, targetOf(stack, setting.localPool), idPrefix, warmup.mostSeconds), {
    onStarted: (pids) => {
      generators = pids;
      sampler.started();
    },
    onProgress: (progress) => {
      sampler.progressed(progress);
      view.progressed(progress);
      const begin = warmup.progressed(progress);
      if (begin !== null) view.warmsUpFor(begin);
      return begin;
    },
  }, signal);
  const ended = endedWithin(result, settings.seconds);
  const { processes, counters, restarted } = await sampler.result(ended);
  say(`${place.run === 0 ? 'warming up' : `run ${place.run}`}: auditing`);
  const limitMs = setting.drainSeconds * 1000;
  if (!isLocal(settings.way) && stack.databases !== null) await untilAtRest(stack.databases, stack.extras, limitMs, signal);
  const audit = await untilItHolds(() => auditOf(settings, result, idPrefix, stack), limitMs, signal);
  const phases = isLocal(settings.way) ? null : await phasesOf(result, stack);
  if (audit.every(({ holds }) => holds)) await stack.window?.advance(isLocal(settings.way) ? 'monolith' : 'shop');
  const warmed = warmup.result();
  return {
    name, settings, ...(warmed === undefined ? {} : { warmup: warmed }), round: place.round, startedAt, endings: result.endings, reasons: result.reasons, perSecond: ended / result.seconds,
    latency: latencyOf(result.histogram), histogram: result.histogram, bySecond: result.bySecond, latestStartMs: result.latestStartMs,
    phases, processes, cost: counters === null ? null : costOf(counters.before, counters.after, ended),
    audit: [...audit, noRestarts(restarted)],
  };
}

function targetOf(stack: Stack, localPool: number): Assignment['target'] {
  return {
    coordinatorUrls: stack.coordinatorUrls, token: stack.submitToken, localDatabaseUrl: stack.monolith?.databaseUrl ?? null, localHttpUrl: stack.monolith?.httpUrl ?? null, localPool,
  };
}

async function auditOf({ way }: RunSettings, { endings, told }: Result, idPrefix: string, stack: Stack): Promise<readonly AuditCheck[]> {
  if (isLocal(way)) return auditMonolith(stack.monolith!.pool, { idPrefix: `${idPrefix}-`, committed: endings.committed });
  if (stack.databases !== null) return [...await auditShop(stack.databases, stack.extras, told), ...await stack.auditMore?.() ?? []];
  return auditAnswers(stack.coordinatorUrls[0]!, stack.readToken ?? stack.submitToken, told);
}

/** Null: nothing is known of any. */
async function phasesOf({ sample }: Result, stack: Stack): Promise<readonly Phase[] | null> {
  const moments = stack.databases !== null
    ? await momentsFromTables(stack.databases.coordinator, sample)
    : await momentsOverHttp(stack.coordinatorUrls[0]!, stack.readToken ?? stack.submitToken, sample);
  const phases = summarisePhases(moments);
  return phases.length === 0 ? null : phases;
}

/** Whoever was started again was cold, and for a while not there: the figures would be those of that. */
function noRestarts(restarted: readonly string[]): AuditCheck {
  return { name: 'no process ended by itself', holds: restarted.length === 0, detail: restarted.length === 0 ? 'the same at the beginning and the end' : `started again: ${restarted.join(', ')}` };
}
