/** Thousands of seeded transactions for each placement: without failures, and with each of its regions lost in turn. */
import { Random } from '../world/random.js';
import type { Region } from './map.js';
import { fateOf, FATES, longestInDoubtMs, percentile, type Fate, type TransactionTimes } from './outcome.js';
import { CONTROL_REGIONS, PARTICIPANT_PLACEMENTS, REGION_PROTOCOLS, regionsUsed, sitesOf, type Placement, type RegionProtocol, type Sites } from './placement.js';
import { runTransaction, systemOf, type Loss } from './transaction.js';

export interface RegionOptions {
  readonly runs: number;
  readonly seed: number;
  readonly home: Region;
  readonly protocols: readonly RegionProtocol[];
  /** A lost region is back after this long. */
  readonly outageMs: number;
  /** What counts as decided in time, after the loss or after the request, whichever is later. */
  readonly limitMs: number;
}

/** The limit is beyond the 7 s after which a participant of Paxos Commit starts to lead (1 + 2 + 4 s of silence). */
export const REGION_DEFAULTS: RegionOptions = { runs: 2000, seed: 1, home: 'frankfurt', protocols: REGION_PROTOCOLS, outageMs: 60_000, limitMs: 10_000 };

/** Milliseconds after the client's request. */
export interface Latency {
  readonly p50Ms: number;
  readonly p99Ms: number;
}

export interface LossResult {
  readonly region: Region;
  /** under way: at a moment between the request and the last participant's commit, evenly drawn. before: before the client asks. */
  readonly when: 'under way' | 'before';
  /** Shares of all transactions; they sum up to 1, with `refused`. */
  readonly shares: Readonly<Record<Fate, number>>;
  /** No coordinator is left to ask. */
  readonly refused: number;
  /** In any participant outside the lost region. */
  readonly longestInDoubtMs: number;
  /** Of the answers that clients got within the limit. null: there were none. */
  readonly answered: Latency | null;
}

export interface PlacementReport {
  readonly placement: Placement;
  /** Without failures. */
  readonly answered: Latency;
  readonly applied: Latency;
  readonly losses: readonly LossResult[];
}

export function placementsOf({ home, protocols }: RegionOptions): Placement[] {
  return PARTICIPANT_PLACEMENTS.flatMap((participants) =>
    protocols.flatMap((protocol) => CONTROL_REGIONS.map((control) => ({ protocol, home, control, participants }))));
}

/** @param progress told after each placement */
export function regionReport(options: RegionOptions, progress?: (done: number, of: number) => void): PlacementReport[] {
  const placements = placementsOf(options);
  return placements.map((placement, i) => {
    const report = placementReport(placement, options);
    progress?.(i + 1, placements.length);
    return report;
  });
}

export function placementReport(placement: Placement, options: RegionOptions): PlacementReport {
  const calm = many(placement, sitesOf(placement)!, options, () => null);
  const answered = latencyOf(calm.map(({ answeredAtMs }) => answeredAtMs!));
  const applied = latencyOf(calm.map(appliedAtMs));
  const losses = regionsUsed(placement).flatMap((region) => [
    lossResult(placement, options, region, 'under way', applied.p99Ms), lossResult(placement, options, region, 'before', applied.p99Ms),
  ]);
  return { placement, answered, applied, losses };
}

function lossResult(placement: Placement, options: RegionOptions, region: Region, when: LossResult['when'], lifeMs: number): LossResult {
  const { runs, outageMs, limitMs } = options;
  const sites = sitesOf(placement, when === 'before' ? region : null);
  if (sites === null) {
    return { region, when, shares: sharesOf([], runs), refused: 1, longestInDoubtMs: 0, answered: null };
  }
  const clocks: number[] = [];
  const times = many(placement, sites, options, (random) => {
    const lostAtMs = when === 'before' ? 0 : random.next() * lifeMs;
    clocks.push(lostAtMs);
    return { region, lostAtMs, backAtMs: lostAtMs + outageMs };
  });
  const fates = times.map((time, i) => fateOf(time, { lostAtMs: clocks[i]!, backAtMs: clocks[i]! + outageMs, limitMs }));
  const answers = times.flatMap(({ answeredAtMs }) => (answeredAtMs !== null && answeredAtMs <= limitMs ? [answeredAtMs] : []));
  return {
    region, when, shares: sharesOf(fates, runs), refused: 0, longestInDoubtMs: Math.max(0, ...times.map(longestInDoubtMs)),
    answered: answers.length === 0 ? null : latencyOf(answers),
  };
}

/** Whose region a loss hits: the coordinator's, another one with participants, or one that has only acceptors or other coordinators. */
export type RegionKind = 'coordinator' | 'participant' | 'acceptor only';

export function kindOf(placement: Placement, region: Region): RegionKind {
  if (region === placement.home) return 'coordinator';
  const zones = [...sitesOf(placement)!.zones];
  return zones.some(([site, zone]) => /^p\d/.test(site) && zone.region === region) ? 'participant' : 'acceptor only';
}

/** Every transaction has a stream of its own, the same one for every placement and loss. */
function many(placement: Placement, sites: Sites, { runs, seed }: RegionOptions, loss: (random: Random) => Loss | null): TransactionTimes[] {
  const system = systemOf(placement);
  return Array.from({ length: runs }, (_, i) => {
    const random = new Random(seed, i);
    return runTransaction(system, sites, loss(random), random);
  });
}

function appliedAtMs({ branches }: TransactionTimes): number {
  return Math.max(...branches.map(({ decidedAtMs }) => decidedAtMs ?? Number.POSITIVE_INFINITY));
}

function latencyOf(values: readonly number[]): Latency {
  return { p50Ms: percentile(values, 0.5), p99Ms: percentile(values, 0.99) };
}

function sharesOf(fates: readonly Fate[], runs: number): Record<Fate, number> {
  return Object.fromEntries(FATES.map((fate) => [fate, fates.filter((other) => other === fate).length / runs])) as Record<Fate, number>;
}
