import { COORDINATOR_NOTES, COORDINATOR_RECORDS, SENDERS, SITE_WRITERS, type CrashRole, type ProcessRole } from './kinds.js';

export type CrashWhen = 'before' | 'after';
export type CrashAct = 'write' | 'send' | 'save-offsets';

/** `<role>.<before|after>.<write|send|save-offsets>[:<kind>]`; the kind is `<protocol>/<record or message>` where it belongs to one. */
export function crashPointName(role: CrashRole, when: CrashWhen, act: CrashAct, kind?: string): string {
  return `${role}.${when}.${act}${kind === undefined ? '' : `:${kind}`}`;
}

export interface CrashPoint {
  readonly name: string;
  readonly role: CrashRole;
  readonly when: CrashWhen;
  readonly act: CrashAct;
  /** Null where the point belongs to no protocol. */
  readonly protocol: string | null;
}

const NAME = /^(coordinator|participant|acceptor|leader)\.(before|after)\.(write|send|save-offsets)(?::(?:([a-z0-9-]+)\/)?[A-Za-z0-9_-]+)?$/;

/** Null for what is no name of a crash point. */
export function parseCrashPoint(name: string): CrashPoint | null {
  const match = NAME.exec(name);
  if (match === null) return null;
  return { name, role: match[1] as CrashRole, when: match[2] as CrashWhen, act: match[3] as CrashAct, protocol: match[4] ?? null };
}

/** Every crash point that the code can have, made from the kinds of its records and messages. */
export function allCrashPoints(): readonly string[] {
  const acts = [...writes(), ...sends(), ...offsets()];
  return acts.flatMap(([role, act, kind]) => [crashPointName(role, 'before', act, kind), crashPointName(role, 'after', act, kind)]);
}

type Act = readonly [role: CrashRole, act: CrashAct, kind?: string];

function writes(): readonly Act[] {
  const records = Object.entries(COORDINATOR_RECORDS).flatMap(([protocol, kinds]) => Object.keys(kinds).map((kind) => `${protocol}/${kind}`));
  return [
    ...[...COORDINATOR_NOTES, ...records].map((kind): Act => ['coordinator', 'write', kind]),
    ...Object.values(SITE_WRITERS).flatMap(({ role, kinds }) => kinds.map((kind): Act => [role, 'write', kind])),
  ];
}

function sends(): readonly Act[] {
  const messages = Object.entries(SENDERS).flatMap(([protocol, kinds]) => Object.entries(kinds).flatMap(([kind, roles]) => (
    roles.map((role: CrashRole): Act => [role, 'send', `${protocol}/${kind}`])
  )));
  const outcomes = Object.keys(SENDERS).map((protocol): Act => ['coordinator', 'send', `${protocol}/OUTCOME`]);
  return [...messages, ...outcomes, ['participant', 'send', 'ANNOUNCE'], ['acceptor', 'send', 'ANNOUNCE']];
}

function offsets(): readonly Act[] {
  const roles: readonly ProcessRole[] = ['coordinator', 'participant', 'acceptor'];
  return roles.map((role): Act => [role, 'save-offsets']);
}
