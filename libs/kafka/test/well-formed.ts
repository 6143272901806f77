import { isTxid, type Message } from '#libs/protocol';

/**
 * A second, independent statement of what a message may be, for tests of the codec: which fields a kind has (`?`: may be absent), and
 * what a field of that name may hold. Fields mean the same wherever they occur.
 */
const FIELDS: Readonly<Record<string, string>> = {
  'PREPARE': 'txid branch operation payload peers',
  'PREPARE_AND_COMMIT': 'txid branch operation payload',
  'COMMIT': 'txid branch',
  'ABORT': 'txid branch reason ack?',
  'ABORT_ONE_PHASE': 'txid branch reason',
  'PEER_INQUIRY': 'txid branch from peers',
  'PEER_STATE': 'txid branch from state',
  'VOTE': 'txid branch vote reason? result?',
  'ONE_PHASE_OUTCOME': 'txid branch outcome reason? result?',
  'ACK': 'txid branch',
  'INQUIRY': 'txid branch participant',
  'ANNOUNCE': 'participant instance version operations acceptor',
  '3pc/PREPARE': 'txid from to operation payload peers',
  '3pc/VOTE': 'txid from to vote reason? result?',
  '3pc/ACK': 'txid from to',
  '3pc/PRE_COMMIT': 'txid from to election peers',
  '3pc/PRE_ABORT': 'txid from to election peers',
  '3pc/PRE_ACK': 'txid from to election state reason?',
  '3pc/COMMIT': 'txid from to ack?',
  '3pc/ABORT': 'txid from to reason ack?',
  '3pc/STATE_REQUEST': 'txid from to election peers',
  '3pc/STATE_REPLY': 'txid from to election state lastAttempt reason?',
  '3pc/REFUSED': 'txid from to election lastElected',
  'paxos-commit/PREPARE': 'txid branch operation payload peers acceptors',
  'paxos-commit/COMMIT': 'txid branch',
  'paxos-commit/ABORT': 'txid branch reason ack?',
  'paxos-commit/PHASE_1A': 'txid ballot peers leader',
  'paxos-commit/PHASE_2A': 'txid ballot peers values leader',
  'paxos-commit/PHASE_1B': 'txid acceptor ballot accepted',
  'paxos-commit/PHASE_2B': 'txid acceptor ballot values',
  'paxos-commit/REFUSED': 'txid acceptor ballot promised',
  'paxos-commit/VOTE': 'txid branch vote reason',
  'paxos-commit/ACK': 'txid branch',
  'paxos-commit/INQUIRY': 'txid branch participant',
  'paxos-commit/LEAD': 'txid peers acceptors',
  'saga/EXECUTE': 'txid branch step stepKind operation payload inputs',
  'saga/COMPENSATE': 'txid branch step reason',
  'saga/CANCEL_STEP': 'txid branch step reason',
  'saga/EXECUTED': 'txid branch step result',
  'saga/REFUSED': 'txid branch step reason',
  'saga/FAILED': 'txid branch step action reason',
  'saga/COMPENSATED': 'txid branch step',
  'saga/CANCELLED': 'txid branch step',
};

type Check = (value: any) => boolean;

const text = (max: number): Check => (v) => typeof v === 'string' && v.length <= max && !v.includes('\0') && v.isWellFormed();
const name: Check = (v) => typeof v === 'string' && /^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$/.test(v);
const whole = (min: number, max: number): Check => (v) => Number.isInteger(v) && v >= min && v <= max && !Object.is(v, -0);
const among = (...choices: readonly string[]): Check => (v) => choices.includes(v);
const listOf = (check: Check, min: number, max: number): Check => (v) => Array.isArray(v) && v.length >= min && v.length <= max && v.every(check);
const only = (checks: Readonly<Record<string, Check>>): Check => (v) => typeof v === 'object' && v !== null && !Array.isArray(v) && Object.keys(v).every((key) => Object.hasOwn(checks, key)) && Object.entries(checks).every(([key, check]) => check(v[key]));
const maybe = (check: Check): Check => (v) => v === undefined || check(v);
const flag: Check = (v) => typeof v === 'boolean';
const json: Check = (v) => v !== undefined && depthOf(v) <= 100 && textsOf(v).every(text(Infinity));
const election = only({ n: whole(1, 1e9), site: whole(0, 10_000) });
const ballot = (least: number): Check => (v) => only({ n: whole(least, 1e9), leader: whole(0, Number.MAX_SAFE_INTEGER) })(v) && (v.n > 0 || v.leader === 0);
const value = among('prepared', 'read-only', 'aborted');
const different: Check = (v) => new Set(v).size === v.length;

const HOLDS: Readonly<Record<string, (message: any) => Check>> = {
  txid: () => isTxid,
  branch: (m) => whole(0, m.protocol === 'saga' ? 99 : 9_999),
  from: (m) => whole(0, m.protocol === '3pc' ? 10_000 : 9_999),
  to: () => whole(0, 10_000),
  operation: () => text(255),
  payload: () => json,
  result: () => json,
  peers: () => listOf(name, 1, 10_000),
  acceptors: () => (v) => listOf(name, 1, 99)(v) && different(v),
  reason: () => only({ code: text(255), participant: maybe(name), detail: maybe(text(65_536)) }),
  ack: () => flag,
  state: (m) => among('committed', 'aborted', ...(m.protocol !== '3pc' ? ['uncertain'] : ['pre-committed', 'pre-aborted', ...(m.kind === 'STATE_REPLY' ? ['waiting', 'prepared'] : [])])),
  vote: (m) => (m.protocol === 'paxos-commit' ? among('no') : among('yes', 'no', 'read-only')),
  outcome: () => among('committed', 'aborted'),
  participant: () => name,
  instance: () => text(255),
  version: () => text(255),
  acceptor: (m) => (m.kind === 'ANNOUNCE' ? flag : name),
  operations: () => listOf((v) => only({ name: text(255), uses: listOf(among('branch', 'step'), 1, 2), stepKinds: listOf(among('compensatable', 'pivot', 'retriable'), 0, 3), payloadSchema: json })(v) && v.uses.includes('step') === v.stepKinds.length > 0, 0, 1_000),
  election: () => election,
  lastElected: () => election,
  lastAttempt: () => (v) => election(v) || only({ n: whole(0, 0), site: whole(-1, -1) })(v),
  ballot: (m) => ballot(m.kind === 'PHASE_1A' || m.kind === 'PHASE_1B' ? 1 : 0),
  promised: () => ballot(0),
  leader: () => (v) => only({ role: among('coordinator') })(v) || only({ role: among('leader'), name })(v),
  accepted: () => listOf((v) => v === null || only({ ballot: ballot(0), value })(v), 1, 10_000),
  values: (m) => (m.kind === 'PHASE_2A' && m.ballot.n === 0 ? (v) => listOf((each) => each === null || value(each), 1, 10_000)(v) && v.some(value) : listOf(value, 1, 10_000)),
  step: () => text(255),
  stepKind: () => among('compensatable', 'pivot', 'retriable'),
  inputs: () => (v) => typeof v === 'object' && v !== null && !Array.isArray(v) && Object.keys(v).length <= 100 && Object.keys(v).every(text(255)) && Object.values(v).every(json),
  action: () => among('execute', 'compensate'),
};

/** Null, or the first thing that is wrong. */
export function flawOf(message: Message): string | null {
  const m = message as unknown as Record<string, unknown> & { kind: string; protocol?: string; peers?: readonly string[] };
  const key = m.protocol === undefined ? m.kind : `${m.protocol}/${m.kind}`;
  if (!Object.hasOwn(FIELDS, key)) return `${key} is unknown`;
  const fields = FIELDS[key]!.split(' ');
  const known = new Set(['kind', 'protocol', ...fields.map((field) => field.replace('?', ''))]);
  const extra = Object.keys(m).find((field) => !known.has(field));
  if (extra !== undefined) return `${extra} does not belong into ${key}`;
  for (const field of fields) {
    const plain = field.replace('?', '');
    if (field !== plain && m[plain] === undefined) continue;
    if (!HOLDS[plain]!(m)(m[plain])) return `${plain} of ${key}`;
  }
  return m.peers === undefined ? null : strangerIn(m, m.peers.length);
}

/** With `peers`, every number must name one of them: a branch, or a site of three-phase commit, whose last is the coordinator. */
function strangerIn(m: any, peers: number): string | null {
  const limit = m.protocol === '3pc' ? peers : peers - 1;
  const numbers = [m.branch, m.from, m.to, m.election?.site].filter((n) => n !== undefined) as number[];
  if (numbers.some((n) => n > limit)) return 'a number beyond the peers';
  return m.kind === 'PHASE_2A' && m.values.length !== peers ? 'values for other peers' : null;
}

function depthOf(v: unknown): number {
  return typeof v === 'object' && v !== null ? 1 + Math.max(0, ...Object.values(v).map(depthOf)) : 0;
}

function textsOf(v: unknown): readonly string[] {
  if (typeof v === 'string') return [v];
  return typeof v === 'object' && v !== null ? [...(Array.isArray(v) ? [] : Object.keys(v)), ...Object.values(v).flatMap(textsOf)] : [];
}
