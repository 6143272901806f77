/** Staged runs: the same faults at the same moments for every protocol, to be compared. Messages take 5 ms, durable writes 2 ms. */
import { NO_FAULTS, type CheckedProtocol, type RunOptions, type ScriptedEvent, type SiteName, type System } from '#libs/simulator';
import { kindsOf, smallSystem } from './small-system.js';

interface Preset {
  readonly text: string;
  /** Length of phase one, milliseconds. */
  readonly faultMs: number;
  events(sites: Sides): readonly ScriptedEvent[];
}

/** The coordinator and the first participant; all others. */
interface Sides {
  readonly near: readonly SiteName[];
  readonly far: readonly SiteName[];
}

/** PREPARE has arrived everywhere and every answer to it is durable and under way; nothing is decided. */
const AFTER_THE_VOTES_MS = 17;
/** The votes are counted; what comes of it is about to leave the coordinator. */
const AFTER_THE_COUNT_MS = 20;

/** Enough to see that nothing but waiting is left. */
const BLOCKED_MS = 30_000;

export const PRESETS: Readonly<Record<string, Preset>> = {
  calm: { text: 'nothing goes wrong', faultMs: 500, events: () => [] },
  'coordinator-lost': {
    text: 'the coordinator and its database are lost for good when every participant has voted; brought back only if somebody is still blocked 30 s later',
    faultMs: 500, events: () => [{ atMs: AFTER_THE_VOTES_MS, kind: 'lose-site', site: 'coordinator' }],
  },
  'coordinator-restarts': {
    text: 'the coordinator crashes when every participant has voted, and is back 3 s later', faultMs: 4000,
    events: () => [{ atMs: AFTER_THE_VOTES_MS, kind: 'crash', process: 'coordinator' }, { atMs: AFTER_THE_VOTES_MS + 3000, kind: 'restart', process: 'coordinator' }],
  },
  partition: {
    text: 'the coordinator and p0 are cut off from all others when the votes are counted, for 10 s', faultMs: 10_000,
    events: ({ near, far }) => [{ atMs: AFTER_THE_COUNT_MS, kind: 'cut', from: near, to: far }],
  },
};

export function stagedRun(name: string, protocol: CheckedProtocol, mutant: string | null, nodes: number, f: number): RunOptions {
  const preset = PRESETS[name]!;
  const system = smallSystem(protocol, mutant, { votes: Array.from({ length: nodes }, () => 'yes' as const), f, kinds: kindsOf(nodes) });
  return { systems: [system], seed: 0, faults: { ...NO_FAULTS, faultMs: preset.faultMs }, schedule: preset.events(sidesOf(system)), limits: { blockedMs: BLOCKED_MS } };
}

function sidesOf({ roles }: System): Sides {
  const sites = [...new Set(roles.map(({ site }) => site))];
  const isNear = (site: SiteName): boolean => site === 'coordinator' || site === 'p0';
  return { near: sites.filter(isNear), far: sites.filter((site) => !isNear(site)) };
}
