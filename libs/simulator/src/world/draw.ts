/** A run, drawn from its seed: how many transactions of which shape, over which processes, with which faults. */
import type { SiteName } from '../system.js';
import { COORDINATOR } from './build.js';
import { drawFaults, type FaultOdds } from './faults.js';
import type { RunOptions } from './options.js';
import type { DrawnTransaction, ProtocolUnderTest } from './protocols.js';
import { Random } from './random.js';

export interface Overrides {
  /** Instead of what the seed says. */
  readonly faults?: Partial<FaultOdds>;
  readonly transactions?: number;
  readonly coordinators?: number;
}

/** What is drawn does not depend on what is overridden: a seed's run changes as little as the overrides say. */
export function drawRun(protocol: ProtocolUnderTest, seed: number, overrides: Overrides = {}): RunOptions {
  const random = new Random(seed);
  const faults = { ...drawFaults(random), ...overrides.faults };
  const drawnCount = random.pick(TRANSACTIONS);
  const drawnCoordinators = random.pick(COORDINATORS);
  const patience = random.int(1, 6);
  const scarce = random.chance(0.2);
  const transactions: DrawnTransaction[] = [];
  const startsAtMs: number[] = [];
  for (let i = 0; i < (overrides.transactions ?? drawnCount); i++) {
    const startMs = i === 0 ? 0 : random.below(SPREAD_MS);
    startsAtMs.push(startMs);
    transactions.push(protocol.draw(random, i, startMs));
  }
  const sites = scarce || faults.loseSite > 0 ? sitesOf(transactions) : [];
  return {
    systems: transactions.map(({ system }) => system), startsAtMs, seed, faults, coordinators: overrides.coordinators ?? drawnCoordinators, patience,
    ...(scarce && { stock: drawStock(random, sites, transactions) }),
    ...(faults.loseSite > 0 && { mayLose: drawMayLose(random, sites, transactions) }),
  };
}

const TRANSACTIONS = [1, 1, 1, 1, 2, 2, 3, 4] as const;
const COORDINATORS = [1, 2, 2, 3] as const;
/** Transactions begin within this of the first. */
const SPREAD_MS = 200;

function sitesOf(transactions: readonly DrawnTransaction[]): SiteName[] {
  return [...new Set(transactions.flatMap(({ system }) => system.roles.map(({ site }) => site)))];
}

function drawStock(random: Random, sites: readonly SiteName[], transactions: readonly DrawnTransaction[]): Record<SiteName, number> {
  const stock: Record<SiteName, number> = {};
  for (const site of sites) {
    if (random.chance(0.5) && !transactions.some(({ needsStock }) => needsStock.includes(site))) stock[site] = random.below(3);
  }
  return stock;
}

/** One or two sites, such that every protocol that promises to end without a minority of its voters keeps a majority. */
function drawMayLose(random: Random, sites: readonly SiteName[], transactions: readonly DrawnTransaction[]): SiteName[] {
  const lost: SiteName[] = [];
  for (let most = random.int(1, 2); most > 0; most--) {
    const site = random.chance(0.4) ? COORDINATOR : random.pick(sites);
    if (!lost.includes(site) && transactions.every(({ voters }) => keepsMajority(voters, [...lost, site]))) lost.push(site);
  }
  return lost;
}

function keepsMajority(voters: readonly SiteName[], lost: readonly SiteName[]): boolean {
  return voters.length === 0 || 2 * voters.filter((site) => lost.includes(site)).length < voters.length;
}
