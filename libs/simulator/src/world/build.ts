/** Puts a world together from the options of a run. */
import type { SiteName, System } from '../system.js';
import { noFaultCounts, type Event, type Instance, type Process, type Site, type Transaction, type World } from './model.js';
import { EventQueue } from './queue.js';
import { Random } from './random.js';
import type { RunOptions } from './options.js';

export const COORDINATOR: SiteName = 'coordinator';
const STOCK = 100;
const PATIENCE = 5;
/** Which of a seed's streams drives the run. */
const RUN_STREAM = 1;

export function build(options: RunOptions): World {
  const { faults, coordinators = 1, patience = PATIENCE, startsAtMs } = options;
  const sites = new Map<SiteName, Site>();
  buildSite(sites, COORDINATOR, coordinators, options);
  for (const { roles } of options.systems) {
    for (const { site } of roles) if (!sites.has(site)) buildSite(sites, site, 1, options);
  }
  const all = [...sites.values()];
  const world: World = {
    random: new Random(options.seed, RUN_STREAM), queue: new EventQueue<Event>(), sites: all,
    processes: all.flatMap(({ processes }) => processes), coordinator: all[0]!,
    transactions: options.systems.map((system, i) => buildTransaction(sites, system, i, startsAtMs?.[i] ?? 0, patience)),
    trace: options.trace ?? null, latency: options.latency ?? null, flushMs: options.flushMs ?? faults.flushMs, counts: noFaultCounts(),
    cut: new Uint8Array(all.length * all.length), cuts: false, faults, healsAtMs: healsAt(options), nowMs: 0, healed: false,
    messages: 0, flushes: 0, longestInDoubtMs: 0, around: { nowMs: 0, tenure: 1, available: 0 },
  };
  if (faults.skewMs > 0) skewClocks(world);
  return world;
}

/** Phase one lasts until the last event of the script at least. */
function healsAt({ faults, schedule = [] }: RunOptions): number {
  return schedule.reduce((latest, { atMs }) => Math.max(latest, atMs), faults.fromMs + faults.faultMs);
}

function buildSite(sites: Map<SiteName, Site>, name: SiteName, processes: number, { stock }: RunOptions): void {
  const pieces = stock?.[name] ?? STOCK;
  const site = {
    index: sites.size, name, shared: name === COORDINATOR, processes: [] as Process[], tenure: 1, owner: null as unknown as Process,
    stock: pieces, firstStock: pieces, lost: false,
  } satisfies Site;
  for (let i = 0; i < processes; i++) {
    site.processes.push({
      site, index: i, name: processes === 1 ? name : `${name}#${i + 1}`, instances: [], up: true, tenure: i === 0 ? 1 : 0, skewMs: 0, firstSkewMs: 0, slowFactor: 1,
      pending: [], flush: null, available: pieces,
    });
  }
  site.owner = site.processes[0]!;
  sites.set(name, site);
}

function buildTransaction(sites: ReadonlyMap<SiteName, Site>, system: System, index: number, startsAtMs: number, patience: number): Transaction {
  const instances: Instance[][] = [];
  const places = new Map<string, number>();
  const { roles } = system;
  const transaction: Transaction = {
    index, system, view: { durables: roles.map(() => null), answers: [] }, instances, places, startAt: roles.findIndex(({ name }) => name === system.start.role),
    heldSinceMs: roles.map(() => -1), client: { startsAtMs, triesLeft: patience, tries: 0, done: false, receivedInPeace: false }, touchedIn: -1,
  };
  for (let i = 0; i < roles.length; i++) {
    const role = roles[i]!;
    places.set(role.name, i);
    instances.push(sites.get(role.site)!.processes.map((process) => {
      const instance: Instance = { transaction, index: i, role, process, state: null, timers: [], told: false, waiting: false, refusedIn: -1 };
      process.instances.push(instance);
      return instance;
    }));
  }
  return transaction;
}

function skewClocks({ processes, random, faults: { skewMs }, counts }: World): void {
  for (const process of processes) {
    process.skewMs = Math.round((2 * random.next() - 1) * skewMs);
    process.firstSkewMs = process.skewMs;
    counts.clockSkew += 1;
  }
}
