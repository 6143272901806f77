import { type Reason, ReasonCode } from '#libs/protocol';

/**
 * Why a transaction aborted whose caller had been told that it was not taken (STORE_UNAVAILABLE) before its BEGIN turned out to be
 * durable. Nothing of it has left. Whoever repeats the request under the same key is to have it run, not to hear of this abort.
 */
export const GIVEN_UP: Reason = { code: ReasonCode.CANCELLED, detail: 'the coordinator\'s database was out of reach when it was submitted' };
