import type { Json } from '#libs/protocol';

export interface Yes {
  readonly vote: 'yes';
  readonly result?: Json;
}

export interface No {
  readonly vote: 'no';
  readonly code: string;
  readonly detail?: string;
}

export interface ReadOnly {
  readonly vote: 'read-only';
  readonly result?: Json;
}

/** What a prepare handler says. */
export type VoteResult = Yes | No | ReadOnly;

/** What an execute handler says: the step is done, or it is refused. */
export type StepResult = Yes | No;

const CODE = /^[A-Z][A-Z0-9_]{0,99}$/;

export function isReasonCode(text: string): boolean {
  return CODE.test(text);
}

/** The answers of prepare and execute handlers. A result is JSON of at most 100 levels; the client sees it on the branch. */
export const vote = {
  /**
   * Prepare: the branch can commit, and will whatever happens; its effects are in this local transaction.
   * Execute: the step is done; later steps of the saga get `result` among their inputs.
   */
  yes(result?: Json): Yes {
    return { vote: 'yes', ...(result === undefined ? {} : { result }) };
  },

  /**
   * Refuses; the whole transaction aborts for this reason. A retriable step of a saga cannot refuse: it is asked again.
   * @param code stable and SCREAMING_SNAKE, at most 100 characters
   * @param detail for people
   * @throws TypeError when the code is not of that form
   */
  no(code: string, detail?: string): No {
    if (!isReasonCode(code)) throw new TypeError(`vote.no: ${JSON.stringify(code)} is no reason code; it takes 1 to 100 characters A-Z, 0-9 and _, beginning with a letter`);
    return { vote: 'no', code, ...(detail === undefined ? {} : { detail }) };
  },

  /** Prepare only. Nothing was changed and nothing needs to stay locked: the branch takes no part in phase two. */
  readOnly(result?: Json): ReadOnly {
    return { vote: 'read-only', ...(result === undefined ? {} : { result }) };
  },
} as const;
