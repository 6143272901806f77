// What goes wrong when: a function of the seed alone.
import { Random } from '../../libs/simulator/src/world/random.ts';

export const SERVICES = ['coordinator', 'orders', 'payments', 'inventory'] as const;
export type ServiceName = (typeof SERVICES)[number];
/** `coordinator-1`, `orders-2`, ...: two instances of each. */
export type ProcessName = `${ServiceName}-${1 | 2}`;
export type ServerName = 'postgres' | 'kafka';

export const PROCESSES: readonly ProcessName[] = SERVICES.flatMap((service) => [`${service}-1`, `${service}-2`] as const);

/**
 * kill        kill -9 of the processes, started again after `forMs`
 * terminate   SIGTERM, as for a deployment, started again after `forMs`
 * stop        SIGSTOP for `forMs`, then SIGCONT: everything in them, timers too, comes late
 * server      the server is ended (`how`) and started again after `forMs`
 * cut, freeze, delay   the processes' connections to the server, for `forMs`
 */
export const KINDS = ['kill', 'terminate', 'stop', 'server', 'cut', 'freeze', 'delay'] as const;
export type FaultKind = (typeof KINDS)[number];

/** fast, immediate, kill-9 of Postgres; clean, kill-9 of Kafka. */
export type ServerEnd = 'fast' | 'immediate' | 'clean' | 'kill-9';

export interface Fault {
  /** From 1, in the order of `atMs`. */
  readonly n: number;
  /** Since the start of the load. */
  readonly atMs: number;
  readonly forMs: number;
  readonly kind: FaultKind;
  /** Whom it hits; of a server's fault nobody. */
  readonly processes: readonly ProcessName[];
  readonly server: ServerName | null;
  readonly how: ServerEnd | null;
  /** Of `delay`. */
  readonly delayMs: number | null;
}

export interface ScheduleOptions {
  readonly seed: number;
  readonly minutes: number;
  /** Only these. */
  readonly kinds: readonly FaultKind[];
}

/** Before the first fault and after the end of the last one: the run has a quiet beginning to compare with, and a quiet end. */
const QUIET_FIRST_MS = 8_000;
const QUIET_LAST_MS = 10_000;

type Draft = Omit<Fault, 'n' | 'atMs'>;
type Recipe = { readonly weight: number; readonly kind: FaultKind; readonly draw: (random: Random) => Omit<Draft, 'kind'> };

const nothing = { processes: [], server: null, how: null, delayMs: null } as const;

/** What a fault is drawn from. Durations straddle the timeouts: 3 s of the consumer group, 5 s of a request, 10 s of a transaction. */
const RECIPES: readonly Recipe[] = [
  { weight: 8, kind: 'kill', draw: (r) => ({ ...nothing, processes: [r.pick(PROCESSES)], forMs: downTime(r) }) },
  { weight: 2, kind: 'kill', draw: (r) => ({ ...nothing, processes: bothOf(r.pick(SERVICES.slice(1))), forMs: downTime(r) }) },
  { weight: 2, kind: 'kill', draw: (r) => ({ ...nothing, processes: bothOf('coordinator'), forMs: downTime(r) }) },
  { weight: 1, kind: 'kill', draw: (r) => ({ ...nothing, processes: PROCESSES, forMs: r.int(0, 2_000) }) },
  { weight: 2, kind: 'terminate', draw: (r) => ({ ...nothing, processes: [r.pick(PROCESSES)], forMs: r.int(0, 3_000) }) },
  { weight: 5, kind: 'stop', draw: (r) => ({ ...nothing, processes: [r.pick(PROCESSES)], forMs: r.int(500, 10_000) }) },
  { weight: 1, kind: 'stop', draw: (r) => ({ ...nothing, processes: bothOf(r.pick(SERVICES)), forMs: r.int(500, 10_000) }) },
  { weight: 3, kind: 'server', draw: (r) => ({ ...nothing, server: 'postgres', how: r.pick(['fast', 'immediate', 'kill-9'] as const), forMs: r.int(0, 4_000) }) },
  { weight: 3, kind: 'server', draw: (r) => ({ ...nothing, server: 'kafka', how: r.pick(['clean', 'kill-9'] as const), forMs: r.int(0, 4_000) }) },
  { weight: 4, kind: 'cut', draw: (r) => ({ ...nothing, ...link(r), forMs: r.int(200, 8_000) }) },
  { weight: 4, kind: 'freeze', draw: (r) => ({ ...nothing, ...link(r), forMs: r.int(500, 12_000) }) },
  { weight: 3, kind: 'delay', draw: (r) => ({ ...nothing, ...link(r), forMs: r.int(2_000, 10_000), delayMs: r.pick([5, 20, 50, 200, 500]) }) },
];

/** Everything at once: all processes and both servers. */
const CATASTROPHE = (r: Random): readonly Draft[] => [
  { ...nothing, kind: 'kill', processes: PROCESSES, forMs: r.int(1_000, 4_000) },
  { ...nothing, kind: 'server', server: 'postgres', how: 'kill-9', forMs: r.int(0, 2_000) },
  { ...nothing, kind: 'server', server: 'kafka', how: 'kill-9', forMs: r.int(0, 2_000) },
];

/** In the order of their times; none of two that overlap hit the same process, server or connection. */
export function makeSchedule({ seed, minutes, kinds }: ScheduleOptions): readonly Fault[] {
  const random = new Random(seed);
  const endMs = minutes * 60_000 - QUIET_LAST_MS;
  const faults: Omit<Fault, 'n'>[] = [];
  const everything = KINDS.every((kind) => kinds.includes(kind));
  // Once in a run of some minutes; in the middle third.
  const catastropheMs = everything && minutes >= 3 ? Math.round((minutes * 60_000 * random.int(33, 66)) / 100) : null;
  let catastropheDue = catastropheMs !== null;
  for (let atMs = QUIET_FIRST_MS + random.int(0, 2_000); atMs < endMs;) {
    const volley = catastropheDue && atMs >= catastropheMs! ? CATASTROPHE(random) : drawVolley(random, kinds);
    if (catastropheDue && atMs >= catastropheMs!) catastropheDue = false;
    let untilMs = atMs;
    for (const [i, draft] of volley.entries()) {
      const beginMs = atMs + (i === 0 ? 0 : random.int(0, 3_000));
      if (beginMs + draft.forMs > endMs || clashes(draft, beginMs, faults)) continue;
      faults.push({ atMs: beginMs, ...draft });
      untilMs = Math.max(untilMs, beginMs + draft.forMs);
    }
    atMs = untilMs + random.int(4_000, 12_000);
  }
  return faults.sort((a, b) => a.atMs - b.atMs).map((fault, i) => ({ n: i + 1, ...fault }));
}

/** Mostly one fault, now and then two or three. */
function drawVolley(random: Random, kinds: readonly FaultKind[]): readonly Draft[] {
  const recipes = RECIPES.filter((recipe) => kinds.includes(recipe.kind));
  const count = random.chance(0.25) ? random.int(2, 3) : 1;
  return Array.from({ length: count }, () => {
    const { kind, draw } = pickByWeight(random, recipes);
    return { kind, ...draw(random) };
  });
}

function pickByWeight(random: Random, recipes: readonly Recipe[]): Recipe {
  let left = random.next() * recipes.reduce((sum, recipe) => sum + recipe.weight, 0);
  return recipes.find((recipe) => (left -= recipe.weight) < 0) ?? recipes.at(-1)!;
}

function downTime(random: Random): number {
  return random.chance(0.4) ? 0 : random.int(500, 8_000);
}

/** Of one process or of all, to either server. */
function link(random: Random): Pick<Draft, 'processes' | 'server'> {
  return { processes: random.chance(0.3) ? PROCESSES : [random.pick(PROCESSES)], server: random.pick(['postgres', 'kafka'] as const) };
}

function bothOf(service: ServiceName): readonly ProcessName[] {
  return [`${service}-1`, `${service}-2`];
}

/** A process is left alone for a while after its fault: it has to come up. */
const APART_MS = 1_000;

function clashes(draft: Draft, beginMs: number, others: readonly Omit<Fault, 'n'>[]): boolean {
  const mine = new Set(resources(draft));
  return others.some((other) => beginMs < other.atMs + other.forMs + APART_MS && other.atMs < beginMs + draft.forMs + APART_MS && resources(other).some((resource) => mine.has(resource)));
}

function resources({ kind, processes, server }: Draft): readonly string[] {
  if (kind === 'server') return [server!];
  return server === null ? processes : processes.map((process) => `${process}/${server}`);
}

/** For people: `kill -9 orders-1 for 3.2 s`. */
export function describeFault({ kind, processes, server, how, delayMs, forMs }: Omit<Fault, 'n' | 'atMs'>): string {
  const who = processes.length === PROCESSES.length ? 'everyone' : processes.join(' and ');
  const whose = processes.length === PROCESSES.length ? "everyone's" : `${who}'s`;
  const time = `${(forMs / 1000).toFixed(1)} s`;
  switch (kind) {
    case 'kill': return `kill -9 ${who}, started again after ${time}`;
    case 'terminate': return `SIGTERM ${who}, started again after ${time}`;
    case 'stop': return `SIGSTOP ${who} for ${time}`;
    case 'server': return `${server} ended (${how}), started again after ${time}`;
    case 'cut': return `${whose} connections to ${server} cut for ${time}`;
    case 'freeze': return `${whose} connections to ${server} frozen for ${time}`;
    case 'delay': return `${whose} connections to ${server} delayed by ${delayMs} ms for ${time}`;
  }
}
