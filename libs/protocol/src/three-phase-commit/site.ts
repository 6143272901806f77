/**
 * What every site of three-phase commit does for whoever is elected: promises, follows attempts, tells what it has decided. The coordinator
 * and the participants share this part; their own files say what comes before (votes) and after (effects of the decision).
 *
 * A promise (`lastElected`) is durable before it is told: a site that forgot one in a crash could follow an old attempt after it has
 * helped a new resolver to find that there was none.
 */
import type { Envelope, Peers, Reason } from '../messages.js';
import { addressOf, compareElections, isFinal, type Group, type SiteRow } from './election.js';
import { ATTEMPT, type PreAbort, type PreAck, type PreCommit, type Refused, type StateReply, type StateRequest, type ThreePhaseMessage } from './messages.js';

export type Attempted = PreCommit | PreAbort;

/** `changed`: the row is new and must become durable before `messages` leave, and a round of this site's own is over. */
export interface Answered {
  readonly changed: boolean;
  readonly site: SiteRow;
  readonly messages: readonly Envelope<ThreePhaseMessage>[];
}

/** An election: promised if it is greater than all before, told again if it is the one promised last, refused if it is smaller. */
export function answerRequest(site: SiteRow, request: StateRequest): Answered {
  if (isFinal(site.state)) return { changed: false, site, messages: [tellState(site, request)] };
  const order = compareElections(request.election, site.lastElected);
  if (order < 0) return { changed: false, site, messages: [refuseElection(site, request)] };
  const promised = order === 0 ? site : { ...site, lastElected: request.election };
  return { changed: order > 0, site: promised, messages: [tellState(promised, request)] };
}

/** An attempt: followed unless a greater election was promised. */
export function answerAttempt(site: SiteRow, attempt: Attempted): Answered {
  if (isFinal(site.state)) return { changed: false, site, messages: [acknowledgeAttempt(site, attempt)] };
  if (compareElections(attempt.election, site.lastElected) < 0) return { changed: false, site, messages: [refuseElection(site, attempt)] };
  const repeated = compareElections(attempt.election, site.lastAttempt) === 0;
  const followed: SiteRow = repeated ? site : {
    ...site, state: ATTEMPT[attempt.kind === 'PRE_COMMIT' ? 'COMMIT' : 'ABORT'], lastElected: attempt.election, lastAttempt: attempt.election,
  };
  return { changed: !repeated, site: followed, messages: [acknowledgeAttempt(followed, attempt)] };
}

// ---------------------------------------------------------------- messages

/** To whoever asked, from whom it asked. */
function backTo(message: { readonly txid: Group['txid']; readonly from: number; readonly to: number }) {
  return { protocol: '3pc', txid: message.txid, from: message.to, to: message.from } as const;
}

function answer(peers: Peers, message: StateReply | PreAck | Refused): Envelope<ThreePhaseMessage> {
  return { to: addressOf({ peers }, message.to), message };
}

function tellState(site: SiteRow, request: StateRequest): Envelope<ThreePhaseMessage> {
  const { election, peers } = request;
  const { state, lastAttempt } = site;
  return answer(peers, { ...backTo(request), kind: 'STATE_REPLY', election, state, lastAttempt, ...reasonOf(site) });
}

function acknowledgeAttempt(site: SiteRow, attempt: Attempted): Envelope<ThreePhaseMessage> {
  const state = site.state as PreAck['state'];
  return answer(attempt.peers, { ...backTo(attempt), kind: 'PRE_ACK', election: attempt.election, state, ...reasonOf(site) });
}

function refuseElection({ lastElected }: SiteRow, message: StateRequest | Attempted): Envelope<ThreePhaseMessage> {
  return answer(message.peers, { ...backTo(message), kind: 'REFUSED', election: message.election, lastElected });
}

function reasonOf({ state, reason }: SiteRow): { readonly reason?: Reason } {
  return state === 'aborted' && reason !== null ? { reason } : {};
}
