/** Checks of three participants or steps, and of two where three are too many, that are explored to the end in minutes. Figures: docs/checker.md. */
import type { Bounds } from './bounds.js';
import type { CheckedOptions, CheckedProtocol } from './systems.js';

export interface Preset {
  readonly name: string;
  readonly protocol: CheckedProtocol;
  readonly options: CheckedOptions;
  readonly bounds: Partial<Bounds>;
}

const CALM: Partial<Bounds> = { crashes: 0, takeOvers: 0, firings: 0, healEvery: 10 };
/** The first repetitions only send the vote again; this one asks the leader on the participant's own site to lead. */
const LEADS_AT_ONCE = { 'in-doubt': 2 };
/** What is enough for the safety properties, and twenty times fewer states. */
const SAFETY_ONLY: Partial<Bounds> = { ...CALM, crashes: 1, crashPoints: 'idle', feedback: 'at once', healEvery: 0, mostStates: 80_000_000 };

export const PRESETS: readonly Preset[] = [
  { name: '2pc-crash-and-take-over', protocol: '2pc', options: {}, bounds: { healEvery: 10 } },
  { name: '2pc-peers', protocol: '2pc', options: {}, bounds: { ...CALM, firstAttempts: { inquire: 1 }, timers: { inquire: 1, 'prepare-timeout': 1 } } },
  { name: '3pc-crash', protocol: '3pc', options: {}, bounds: { ...CALM, crashes: 1, timers: { 'prepare-timeout': 1 }, duplicates: 1 } },
  { name: '3pc-take-over', protocol: '3pc', options: {}, bounds: { ...CALM, takeOvers: 1, timers: { 'prepare-timeout': 1 } } },
  { name: '3pc-election', protocol: '3pc', options: {}, bounds: { ...CALM, timers: { 'resolve at participant 0': 1 } } },
  {
    name: '3pc-crash-and-election', protocol: '3pc', options: { votes: ['yes', 'yes'] },
    bounds: { ...SAFETY_ONLY, timers: { 'resolve at participant 0': 1 } },
  },
  {
    name: 'paxos-commit-crash', protocol: 'paxos-commit', options: {},
    bounds: { ...CALM, crashes: 1, duplicates: 1, crashPoints: 'idle', feedback: 'at once' },
  },
  { name: 'paxos-commit-take-over', protocol: 'paxos-commit', options: {}, bounds: { ...CALM, takeOvers: 1 } },
  {
    name: 'paxos-commit-election', protocol: 'paxos-commit', options: {},
    bounds: { ...CALM, duplicates: 1, firstAttempts: LEADS_AT_ONCE, timers: { 'in-doubt at participant 0': 1 } },
  },
  {
    name: 'paxos-commit-crash-and-election', protocol: 'paxos-commit', options: { votes: ['yes', 'yes'] },
    bounds: { ...SAFETY_ONLY, firstAttempts: LEADS_AT_ONCE, timers: { 'in-doubt at participant 0': 1 } },
  },
  { name: 'saga-crash-and-take-over', protocol: 'saga', options: {}, bounds: { losses: 1 } },
  { name: 'saga-compensation', protocol: 'saga', options: { kinds: ['compensatable', 'compensatable', 'pivot'], votes: ['yes', 'yes', 'no'] }, bounds: {} },
];
