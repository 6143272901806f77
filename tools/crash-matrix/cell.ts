import type { InvariantReport } from '#libs/postgres';
import type { Death } from '../../test/support/service-process.ts';
import type { Cell } from './plan.ts';
import { becomes, quiet, undecided } from './quiet.ts';
import { SCENARIOS } from './scenarios.ts';
import type { Scenario, Stage } from './stage.ts';
import { Traffic } from './traffic.ts';
import type { World } from './world.ts';

/** `not reached`: the process never came by its crash point, so nothing was tried. */
export type Verdict = 'passed' | 'violated' | 'did not end' | 'not reached';

export interface CellResult {
  readonly cell: Cell;
  readonly verdict: Verdict;
  /** What was broken or is outstanding. */
  readonly detail: string;
  readonly transactions: number;
  readonly ms: number;
  /** From the kill until everything had ended; null where nothing was killed. */
  readonly recoveredMs: number | null;
}

/** How many other scenarios are tried: the last ones, which are the most special. */
const OTHERWISE = 2;
const ANSWERED_MS = 30_000;
const QUIET_MS = 30_000;
/** The slowest way to a point: offsets are saved every second, announcements are sent every few seconds. */
const WAVE_MS = 6_000;
const OFFSETS_MS = 1_200;
const AUDIT_MS = 5_000;
/** What is on its way may look like this; what has come to rest may not. */
const OUTSTANDING = /ended|left|lock/;

/** Kills the process at the point, lets it come back (or not), waits until all has ended, and audits. */
export async function runCell(world: World, cell: Cell): Promise<CellResult> {
  const began = Date.now();
  const { cluster } = world;
  await world.ready(cell.mode === 'takeover');
  const traffic = new Traffic(cluster, cell.mode === 'takeover' ? cluster.coordinators.map((c) => c.url) : [world.coordinator.url]);
  const plays: Promise<void>[] = [];
  const logged = cluster.processes().map((process) => ({ process, from: process.output.length }));
  const finish = (verdict: Verdict, detail: string, killedAtMs: number | null): CellResult => ({
    cell, verdict, detail, transactions: traffic.answers.size, ms: Date.now() - began, recoveredMs: killedAtMs === null ? null : Date.now() - killedAtMs,
  });
  try {
    const death = await provoke(world, cell, traffic, plays);
    if (death === null) return await finishUnreached(world, traffic, finish);
    const killedAtMs = Date.now();
    // The trigger takes its order away before it kills: whatever else ended the process did not.
    if (death.signal !== 'SIGKILL' || world.process(cell.victim).armed) return finish('violated', `${cell.victim} ended by itself (${death.code ?? death.signal}): ${world.process(cell.victim).output.slice(-500)}`, killedAtMs);
    const problem = (await goOn(world, cell, traffic)) ?? (await Promise.all(plays).then(() => untilEnded(world, traffic)));
    if (problem !== null) return finish(problem.verdict, problem.detail, killedAtMs);
    const letters = logged.filter(({ process, from }) => process.output.slice(from).includes('dead-letter')).map(({ process }) => process.instance);
    if (letters.length > 0) return finish('violated', `dead letters written by ${letters.join(', ')}`, killedAtMs);
    return finish('passed', '', killedAtMs);
  } finally {
    // A scenario that is still being played would stop processes of the next cell.
    await Promise.allSettled(plays);
    await traffic.close();
    world.remember(traffic);
  }
}

interface Problem {
  readonly verdict: Verdict;
  readonly detail: string;
}

/** Plays the scenario until the victim has killed itself; if that does not help, starts it anew: some points are passed only then. */
async function provoke(world: World, cell: Cell, traffic: Traffic, plays: Promise<void>[]): Promise<Death | null> {
  const victim = world.process(cell.victim);
  const scenarios = [cell.scenario, cell.scenario, ...cell.otherwise.slice(-OTHERWISE)].map((wanted) => SCENARIOS.find(({ name }) => name === wanted)!);
  const stage: Stage = { cluster: world.cluster, protocol: cell.protocol, traffic };
  victim.arm(`${cell.point}#${cell.nth}`);
  const wave = (scenario: Scenario, restMs: number): Promise<Death | null> => {
    const play = scenario.play(stage);
    plays.push(play);
    return Promise.race([victim.death, rest(stage, play, restMs)]);
  };
  for (const [i, scenario] of scenarios.entries()) {
    const death = await wave(scenario, i === scenarios.length - 1 || cell.point.endsWith('save-offsets') ? OFFSETS_MS : 0);
    if (death !== null) return death;
  }
  const { death } = victim;
  // It may also come by while it leaves.
  await victim.stop();
  if (!victim.armed) return death;
  victim.spawn();
  await Promise.race([victim.death, victim.ready().catch(() => undefined)]);
  return wave(scenarios[0]!, OFFSETS_MS);
}

/** Null: the scenario has been played and all it did has ended. */
async function rest({ cluster, traffic }: Stage, play: Promise<void>, restMs: number): Promise<null> {
  await play;
  await traffic.settled(WAVE_MS);
  await quiet(cluster, WAVE_MS);
  await new Promise((resolve) => setTimeout(resolve, restMs));
  return null;
}

/** Without the dead process for as long as the cell wants, then with it. Null: as it should be. */
async function goOn(world: World, cell: Cell, traffic: Traffic): Promise<Problem | null> {
  const victim = world.process(cell.victim);
  const problem = await withoutIt(world, cell, traffic);
  victim.spawn();
  if (problem !== null) return problem;
  const ready = victim.ready().then(() => null, (error: Error): Problem => ({ verdict: 'did not end', detail: error.message }));
  if (!(await traffic.settled(ANSWERED_MS))) return { verdict: 'did not end', detail: `a client has no answer ${ANSWERED_MS / 1000} s after the kill` };
  return ready;
}

async function withoutIt(world: World, cell: Cell, traffic: Traffic): Promise<Problem | null> {
  switch (cell.mode) {
    case 'restart':
      return null;
    case 'absent':
      return (await traffic.settled(ANSWERED_MS)) ? null : { verdict: 'did not end', detail: `without ${cell.victim} a client got no answer within ${ANSWERED_MS / 1000} s` };
    case 'alone':
      return (await becomes(async () => (await undecided(world.cluster)) === 0, ANSWERED_MS)) ? null : { verdict: 'did not end', detail: `without a coordinator branches were in doubt for ${ANSWERED_MS / 1000} s` };
    case 'takeover':
      if (!(await traffic.settled(ANSWERED_MS))) return { verdict: 'did not end', detail: `${world.spare.instance} did not answer for the dead coordinator within ${ANSWERED_MS / 1000} s` };
      return untilEnded(world, traffic);
  }
}

/** Everything has ended, and the tables say nothing wrong. */
async function untilEnded(world: World, traffic: Traffic): Promise<Problem | null> {
  if (traffic.complaints.length > 0) return { verdict: 'violated', detail: traffic.complaints.join('; ') };
  const ended = await quiet(world.cluster, QUIET_MS);
  const answers = new Map([...world.answers, ...traffic.answers]);
  let report: InvariantReport | undefined;
  // A decision that has just been applied may still hold its locks.
  await becomes(async () => (report = await world.cluster.check(answers)).ok, ended ? AUDIT_MS : 0);
  const broken = report!.checks.filter((check) => !check.ok);
  if (broken.length === 0) return null;
  const detail = broken.map((check) => `${check.name}: ${check.detail}`).join(' | ');
  return { verdict: broken.every((check) => OUTSTANDING.test(check.name)) ? 'did not end' : 'violated', detail };
}

/** Even then nothing may be broken. */
async function finishUnreached(world: World, traffic: Traffic, finish: (verdict: Verdict, detail: string, killedAtMs: null) => CellResult): Promise<CellResult> {
  const problem = await untilEnded(world, traffic);
  return problem === null ? finish('not reached', '', null) : finish(problem.verdict, problem.detail, null);
}
