import type { Message, PaxosMessage, SagaMessage, ThreePhaseMessage, TwoPhaseMessage } from '#libs/protocol';
import type { SiteKey } from '../keys.js';
import type { RoleName, TimerName } from './role.js';

/** Which machine of the site a message is for. */
export interface Route {
  readonly key: SiteKey;
  readonly role: RoleName;
}

type Hosted = 'branch' | 'acceptor' | 'leader' | null;
type Table<M extends { readonly kind: string }> = { readonly [K in M['kind']]: Hosted };

/** By kind; null: the coordinator's. A new kind does not compile until it has its place. */
const TWO_PHASE: Table<TwoPhaseMessage> = {
  PREPARE: 'branch', PREPARE_AND_COMMIT: 'branch', COMMIT: 'branch', ABORT: 'branch', ABORT_ONE_PHASE: 'branch', PEER_INQUIRY: 'branch', PEER_STATE: 'branch',
  VOTE: null, ONE_PHASE_OUTCOME: null, ACK: null, INQUIRY: null,
};
const THREE_PHASE: Table<ThreePhaseMessage> = {
  PREPARE: 'branch', PRE_COMMIT: 'branch', PRE_ABORT: 'branch', PRE_ACK: 'branch', COMMIT: 'branch', ABORT: 'branch',
  STATE_REQUEST: 'branch', STATE_REPLY: 'branch', REFUSED: 'branch',
  VOTE: null, ACK: null,
};
const PAXOS: Table<PaxosMessage> = {
  PREPARE: 'branch', COMMIT: 'branch', ABORT: 'branch',
  PHASE_1A: 'acceptor', PHASE_2A: 'acceptor',
  PHASE_1B: 'leader', PHASE_2B: 'leader', REFUSED: 'leader', LEAD: 'leader',
  VOTE: null, ACK: null, INQUIRY: null,
};
const SAGA: Table<SagaMessage> = {
  EXECUTE: 'branch', COMPENSATE: 'branch', CANCEL_STEP: 'branch',
  EXECUTED: null, REFUSED: null, FAILED: null, COMPENSATED: null, CANCELLED: null,
};

const TABLES = { '2pc': TWO_PHASE, '3pc': THREE_PHASE, 'paxos-commit': PAXOS, saga: SAGA } as const;

/** Null for what no site but the coordinator's takes. */
export function routeOf(message: Message): Route | null {
  if (message.kind === 'ANNOUNCE') return null;
  const protocol = 'protocol' in message ? message.protocol : '2pc';
  const hosted = (TABLES[protocol] as { readonly [kind: string]: Hosted })[message.kind] ?? null;
  if (hosted === null) return null;
  const { txid } = message;
  if (hosted !== 'branch') return { key: { role: hosted, txid }, role: hosted };
  return { key: { role: 'branch', txid, branch: 'branch' in message ? message.branch : (message as ThreePhaseMessage).to }, role: protocol };
}

/** Every timer's name belongs to one machine alone. */
export const ROLE_OF_TIMER: { readonly [T in TimerName]: RoleName } = {
  inquire: '2pc', resolve: '3pc', 'in-doubt': 'paxos-commit', ballot: 'leader', resend: 'leader', 'prepare-timeout': 'leader',
};
