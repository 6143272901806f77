import { compareBallots, type AcceptorRow, type OutcomeStatus, type Txid } from '#libs/protocol';
import type { AnyBranchRow } from '#libs/runtime';

/**
 * Sees every durable change and everything that anybody is told, and objects at once: no two places may ever say different outcomes of
 * one transaction (AC1), none may change its mind (AC2), and nothing commits without every yes (AC3).
 */
export class Witness {
  readonly violations: string[] = [];
  private readonly outcomes = new Map<Txid, { readonly outcome: OutcomeStatus; readonly by: string }>();
  private readonly names = new Map<Txid, string>();

  constructor(private readonly onViolation: (text: string) => void) {}

  /** Short, for people: in order of appearance. */
  name(txid: Txid): string {
    let name = this.names.get(txid);
    if (name === undefined) this.names.set(txid, (name = `t${this.names.size + 1}`));
    return name;
  }

  /** Order of appearance, for what a database would sort by txid. */
  ordinal(txid: Txid): number {
    return Number(this.name(txid).slice(1));
  }

  object(text: string): void {
    this.violations.push(text);
    this.onViolation(text);
  }

  /** @param by who says so: `register`, `END`, `row of p0/1`, `client 3` */
  told(txid: Txid, outcome: OutcomeStatus, by: string): void {
    const first = this.outcomes.get(txid);
    if (first === undefined) this.outcomes.set(txid, { outcome, by });
    else if (first.outcome !== outcome) this.object(`AC1: ${this.name(txid)} is ${first.outcome} (${first.by}) and ${outcome} (${by})`);
  }

  outcomeOf(txid: Txid): OutcomeStatus | null {
    return this.outcomes.get(txid)?.outcome ?? null;
  }

  /** A branch row is about to take the place of another one. */
  row(site: string, before: AnyBranchRow | null, after: AnyBranchRow): void {
    const { txid, branch, state, protocol } = after;
    const where = `row of ${site}/${branch}`;
    if (before !== null && before.protocol !== protocol) this.object(`ROW: ${where} of ${this.name(txid)} was ${before.protocol} and becomes ${protocol}`);
    if (before !== null && before.state !== state && !(STEPS[before.state] ?? []).includes(state)) {
      this.object(`AC2: ${where} of ${this.name(txid)} goes from ${before.state} to ${state}`);
    }
    if (state === 'committed' || state === 'aborted') this.told(txid, state, where);
  }

  /** An acceptor's row is about to take the place of another one: promises and accepted ballots only grow, and a vote is cast once. */
  acceptor(site: string, before: AcceptorRow | null, after: AcceptorRow): void {
    if (before === null) return;
    const where = `acceptor ${site} of ${this.name(after.txid)}`;
    if (compareBallots(after.promised, before.promised) < 0) this.object(`PROMISE: ${where} takes a promise back`);
    after.accepted.forEach((vote, i) => {
      const earlier = before.accepted[i] ?? null;
      if (earlier === null) return;
      const order = vote === null ? -1 : compareBallots(vote.ballot, earlier.ballot);
      if (order < 0 || (order === 0 && vote!.value !== earlier.value)) this.object(`PROMISE: ${where} takes its vote of branch ${i} back`);
    });
  }
}

/** Where a row may go from each state; nowhere else, and from the others nowhere. */
const STEPS: { readonly [state: string]: readonly string[] } = {
  prepared: ['committed', 'aborted', 'pre-committed', 'pre-aborted'],
  'pre-committed': ['committed', 'aborted', 'pre-aborted'],
  'pre-aborted': ['committed', 'aborted', 'pre-committed'],
  executed: ['compensated'],
};
