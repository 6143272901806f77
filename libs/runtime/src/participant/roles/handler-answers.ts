import { ReasonCode, type HandlerVote, type Reason, type SagaHandlerAnswer } from '#libs/protocol';
import { describeError } from '../describe-error.js';
import type { HandlerCall, HandlerResult } from '../types.js';

const NO_VOTE = 'the handler returned no vote';

/** What prepare said. A handler that failed has refused: nothing of its work remains. */
export function voteFrom(result: HandlerResult): HandlerVote {
  if (!result.ok) return { vote: 'no', reason: failure(result.error) };
  return result.vote ?? { vote: 'no', reason: { code: ReasonCode.HANDLER_FAILED, detail: NO_VOTE } };
}

/** What the handler of a saga's step said. One that failed may be asked again. */
export function answerFrom(action: HandlerCall['action'], result: HandlerResult): SagaHandlerAnswer {
  if (!result.ok) return { said: 'failed', reason: failure(result.error) };
  if (action === 'compensate') return { said: 'done' };
  const { vote } = result;
  if (vote?.vote === 'no') return { said: 'no', ...(vote.reason && { reason: vote.reason }) };
  if (vote?.vote === 'yes') return { said: 'done', ...(vote.result !== undefined && { result: vote.result }) };
  const detail = vote === null ? NO_VOTE : 'an execute handler cannot vote read-only';
  return { said: 'failed', reason: { code: ReasonCode.HANDLER_FAILED, detail } };
}

/** Decisions are applied by commit and abort handlers; they cannot refuse, only fail. */
export function applies(action: HandlerCall['action']): action is 'commit' | 'abort' {
  return action === 'commit' || action === 'abort';
}

function failure(error: unknown): Reason {
  return { code: ReasonCode.HANDLER_FAILED, detail: describeError(error) };
}
