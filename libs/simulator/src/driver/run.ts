import { UnavailableError, type CoordinatorDriver } from '#libs/runtime';
import type { Trace, TraceEvent } from '../trace.js';
import { finalViolations, unfinished } from './checks.js';
import type { DriverDefect } from './defects.js';
import { CALM, drawFaults, type DriverFaults } from './faults.js';
import type { Instance } from './instances.js';
import { Random } from './random.js';
import { watchRejections } from './rejections.js';
import { type WorldSize, DriverWorld } from './world.js';
import type { FaultCounts } from './wire.js';

export interface DriverRunOptions extends Partial<WorldSize> {
  readonly seed: number;
  /** Takes the place of single odds and counts that the seed would draw. */
  readonly faults?: Partial<DriverFaults>;
  /** Nothing goes wrong but what `faults` names. */
  readonly calm?: boolean;
  readonly defect?: DriverDefect;
  readonly trace?: Trace;
}

export interface DriverRunResult {
  readonly seed: number;
  /** Empty when all is well; the first is the cause of the others, mostly. */
  readonly violations: readonly string[];
  readonly committed: number;
  readonly aborted: number;
  /** How often each kind of fault has happened. */
  readonly faults: Readonly<FaultCounts>;
  /** From the healing to the end of everything, simulated milliseconds. */
  readonly healedInMs: number;
}

/** After the healing everything must end within this, in simulated milliseconds. Waits that double end at 5 s, sweeps come every 10 s. */
const END_WITHIN_MS = 90_000;
/** When new work must run without any trouble. */
const PROBE_AFTER_MS = 15_000;
const LOOK_EVERY_MS = 250;
const PROBE_WITHIN_MS = 15_000;
const PROBE_STEP_MS = 10;

/**
 * One run of the production drivers in a simulated world: phase one with faults, phase two without. Everything must end, new work must be
 * taken and committed by every coordinator, and nothing may contradict anything else.
 */
export async function simulateDriver(options: DriverRunOptions): Promise<DriverRunResult> {
  const rejections = watchRejections();
  const world = newWorld(options);
  try {
    world.begin();
    await run(world, world.faults.faultyMs);
    world.heal();
    const healedInMs = await settle(world);
    world.end();
    for (const error of rejections.errors) world.witness.object(`UNHANDLED: ${error instanceof Error ? error.stack : String(error)}`);
    for (const text of finalViolations(world)) world.witness.object(text);
    return resultOf(options.seed, world, healedInMs);
  } finally {
    rejections.close();
  }
}

export interface DriverSeedsResult {
  readonly runs: number;
  readonly committed: number;
  readonly aborted: number;
  readonly violations: readonly { readonly seed: number; readonly text: string }[];
  readonly faults: Readonly<FaultCounts>;
  readonly slowestHealing: { readonly seed: number; readonly ms: number };
}

/** @param onRun told after every run, for progress */
export async function runDriverSeeds(
  firstSeed: number, count: number, overrides: Omit<DriverRunOptions, 'seed'> = {}, onRun?: (result: DriverRunResult) => void,
): Promise<DriverSeedsResult> {
  const sum = { runs: 0, committed: 0, aborted: 0 };
  const violations: { seed: number; text: string }[] = [];
  const faults: FaultCounts = {};
  let slowestHealing = { seed: firstSeed, ms: 0 };
  for (let seed = firstSeed; seed < firstSeed + count; seed++) {
    const result = await simulateDriver({ ...overrides, seed });
    sum.runs++;
    sum.committed += result.committed;
    sum.aborted += result.aborted;
    for (const text of result.violations) violations.push({ seed, text });
    for (const [name, times] of Object.entries(result.faults)) faults[name] = (faults[name] ?? 0) + times;
    if (result.healedInMs > slowestHealing.ms) slowestHealing = { seed, ms: result.healedInMs };
    onRun?.(result);
  }
  return { ...sum, violations, faults, slowestHealing };
}

/** The same run, told. */
export async function traceDriverSeed(
  seed: number, overrides: Omit<DriverRunOptions, 'seed' | 'trace'> = {},
): Promise<{ readonly result: DriverRunResult; readonly trace: readonly TraceEvent[] }> {
  const trace: TraceEvent[] = [];
  const result = await simulateDriver({ ...overrides, seed, trace: (event) => trace.push(event) });
  return { result, trace };
}

function newWorld({ seed, faults, calm, defect, trace, ...size }: DriverRunOptions): DriverWorld {
  // Streams of their own, so that fixing a size or an odds leaves the rest as it was.
  const sizes = new Random(seed ^ 0x5151);
  const drawn = {
    transactions: 2 + sizes.below(7), participants: 2 + sizes.below(2), coordinators: 2 + sizes.below(2), instances: 1 + sizes.below(2),
    shards: sizes.pick([2, 4]), partitions: sizes.pick([1, 2]), pieces: 1 + sizes.below(6), protocols: ['2pc'] as const,
  };
  return new DriverWorld(seed, { ...drawn, ...size }, { ...(calm ? CALM : drawFaults(new Random(seed ^ 0xfa17))), ...faults }, defect ?? null, trace ?? (() => {}));
}

async function run(world: DriverWorld, untilMs: number): Promise<void> {
  while (await world.scheduler.step(untilMs));
}

/** Until everything has ended, new work included, or the bound is reached. */
async function settle(world: DriverWorld): Promise<number> {
  const { scheduler } = world;
  const healedAtMs = scheduler.nowMs;
  await run(world, healedAtMs + PROBE_AFTER_MS);
  await probe(world);
  for (let left = unfinished(world); left.length > 0; left = unfinished(world)) {
    if (scheduler.nowMs - healedAtMs > END_WITHIN_MS) {
      world.witness.object(`AC5: ${left.join('; ')}`);
      break;
    }
    await run(world, scheduler.nowMs + LOOK_EVERY_MS);
  }
  return Math.round(scheduler.nowMs - healedAtMs);
}

/**
 * New work for every coordinator, one after the other so that each of its shards gets some: all of it must commit. A coordinator may find
 * out only now that an owner of before has raised its epoch with a late request; it then refuses once and takes the shard again.
 */
async function probe(world: DriverWorld): Promise<void> {
  const { witness, size } = world;
  const owned = new Set(world.coordinators.flatMap(({ driver }) => driver.shards().map(({ shard }) => shard)));
  if (owned.size < size.shards) witness.object(`AC5: only the shards ${[...owned].join(', ')} of ${size.shards} have an owner after the healing`);
  for (const instance of world.coordinators.filter(({ driver }) => driver.shards().length > 0)) {
    for (let i = 0; i < size.shards; i++) {
      const end = await untilTaken(world, instance);
      if (end !== 'committed') witness.object(`AC5: ${instance.process.name} does not commit new work after the healing: ${end}`);
    }
  }
}

/** How new work ends; what is refused is asked for again. */
async function untilTaken(world: DriverWorld, { driver }: Instance<CoordinatorDriver>): Promise<string> {
  const { scheduler } = world;
  const giveUpMs = scheduler.nowMs + PROBE_WITHIN_MS;
  let end = 'no answer';
  let isRefused = true;
  while (isRefused && scheduler.nowMs < giveUpMs) {
    isRefused = false;
    let isOpen = true;
    // As an event: only after one is the driver given time to run.
    scheduler.in(0, () => void submitProbe(world, driver).then((said) => {
      isOpen = false;
      end = said instanceof Error ? said.message : said;
      isRefused = said instanceof UnavailableError;
    }));
    while (isOpen && scheduler.nowMs < giveUpMs) await run(world, scheduler.nowMs + PROBE_STEP_MS);
    if (isRefused) await run(world, scheduler.nowMs + LOOK_EVERY_MS);
  }
  return end;
}

function submitProbe({ databases, size }: DriverWorld, driver: CoordinatorDriver): Promise<string | Error> {
  const branches = databases.map(({ site }) => ({ participant: site, operation: 'note', payload: null }));
  const protocol = size.protocols.find((name) => name !== 'saga') ?? '2pc';
  return driver.begin({ protocol, branches, timeoutMs: PROBE_WITHIN_MS, waitFor: 'decided', metadata: { client: -1, request: 0 }, idempotency: null })
    .then(({ txid }) => driver.settled(txid, 'decided', PROBE_WITHIN_MS))
    .then((view) => view?.status ?? 'forgotten', (error: unknown) => error as Error);
}

function resultOf(seed: number, { witness, tables, wire }: DriverWorld, healedInMs: number): DriverRunResult {
  const outcomes = [...tables.begins.keys()].map((txid) => tables.outcome(txid));
  return {
    seed, violations: witness.violations, faults: wire.counts, healedInMs,
    committed: outcomes.filter((outcome) => outcome === 'committed').length,
    aborted: outcomes.filter((outcome) => outcome === 'aborted').length,
  };
}
