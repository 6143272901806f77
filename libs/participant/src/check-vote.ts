import { isStorableText, jsonProblem } from '#libs/kafka';
import { type HandlerVote, type Json, ReasonCode } from '#libs/protocol';
import { isReasonCode } from './vote.js';

const MAX_DETAIL = 1_000;
/** Well below what one message may take; a result is a reference or a number, not a document. */
const MAX_RESULT_CHARS = 65_536;

/** A refusal in the protocol's form; text that no database would take is cleaned, so that the vote can always be stored. */
export function refusal(code: string, detail?: string): HandlerVote {
  return { vote: 'no', reason: { code, ...(detail === undefined || detail === '' ? {} : { detail: storable(detail) }) } };
}

export function handlerFailed(error: unknown): HandlerVote {
  return refusal(ReasonCode.HANDLER_FAILED, error instanceof Error ? error.message : String(error));
}

/** Who voted: an execute handler has nothing to be read-only about. */
export type VoteTaker = 'prepare' | 'execute';

const TAKES: Readonly<Record<VoteTaker, string>> = { prepare: 'vote.yes(), vote.no() or vote.readOnly()', execute: 'vote.yes() or vote.no()' };

/** What a handler returned, as a vote. @throws Error when it is none */
export function checkVote(returned: unknown, by: VoteTaker): HandlerVote {
  const { vote, code, detail, result } = (typeof returned === 'object' && returned !== null ? returned : {}) as Record<string, unknown>;
  if (vote === 'no') return refusal(checkCode(code), typeof detail === 'string' ? detail : undefined);
  if (vote !== 'yes' && (vote !== 'read-only' || by === 'execute')) throw new Error(`the handler returned no vote that ${by} may give; it takes ${TAKES[by]}`);
  return { vote, ...(result === undefined ? {} : { result: checkResult(result) }) };
}

function checkCode(code: unknown): string {
  if (code === undefined) return ReasonCode.REFUSED;
  if (typeof code === 'string' && isReasonCode(code)) return code;
  throw new Error(`the handler refused with ${JSON.stringify(code)}, which is no reason code`);
}

/** @throws Error when they are not one vote per call */
export function checkVotes(returned: unknown, wanted: number, by: VoteTaker): readonly HandlerVote[] {
  if (!Array.isArray(returned) || returned.length !== wanted) {
    throw new Error(`the handler returned ${Array.isArray(returned) ? `${returned.length} votes` : 'no list of votes'} for ${wanted} calls`);
  }
  return returned.map((one) => checkVote(one, by));
}

/** The result travels and is stored as JSON, so it becomes JSON here, where a fault of it is still its handler's. */
function checkResult(result: unknown): Json {
  const text = JSON.stringify(result) as string | undefined;
  if (text === undefined) throw new Error('the result of the vote is no JSON');
  if (text.length > MAX_RESULT_CHARS) throw new Error(`the result of the vote takes ${text.length} characters as JSON, the limit is ${MAX_RESULT_CHARS}`);
  const json = JSON.parse(text) as Json;
  const problem = jsonProblem(json);
  if (problem !== null) throw new Error(`the result of the vote ${problem}`);
  return json;
}

function storable(text: string): string {
  const short = text.length > MAX_DETAIL ? `${text.slice(0, MAX_DETAIL)}...` : text;
  return isStorableText(short) ? short : short.replace(/\0|\p{Surrogate}/gu, '\ufffd');
}
