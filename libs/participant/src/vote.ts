import type { Json } from '#libs/protocol';

/** What a prepare handler says. */
export type VoteResult =
  | { readonly vote: 'yes'; readonly result?: Json }
  | { readonly vote: 'no'; readonly code: string; readonly detail?: string }
  | { readonly vote: 'read-only'; readonly result?: Json };

const CODE = /^[A-Z][A-Z0-9_]{0,99}$/;

export function isReasonCode(text: string): boolean {
  return CODE.test(text);
}

/** The answers of a prepare handler. A result is JSON of at most 100 levels; the client sees it on the branch. */
export const vote = {
  /** The branch can commit, and will whatever happens: its effects are in this local transaction. */
  yes(result?: Json): VoteResult {
    return { vote: 'yes', ...(result === undefined ? {} : { result }) };
  },

  /**
   * Refuses; the whole transaction aborts for this reason.
   * @param code stable and SCREAMING_SNAKE, at most 100 characters
   * @param detail for people
   * @throws TypeError when the code is not of that form
   */
  no(code: string, detail?: string): VoteResult {
    if (!isReasonCode(code)) throw new TypeError(`vote.no: ${JSON.stringify(code)} is no reason code; it takes 1 to 100 characters A-Z, 0-9 and _, beginning with a letter`);
    return { vote: 'no', code, ...(detail === undefined ? {} : { detail }) };
  },

  /** Nothing was changed and nothing needs to stay locked: the branch takes no part in phase two. */
  readOnly(result?: Json): VoteResult {
    return { vote: 'read-only', ...(result === undefined ? {} : { result }) };
  },
} as const;
