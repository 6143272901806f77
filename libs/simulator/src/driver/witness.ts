import type { BranchRow, OutcomeStatus, Txid } from '#libs/protocol';

/**
 * Sees every durable change and everything that anybody is told, and objects at once: no two places may ever say different outcomes of
 * one transaction (AC1), none may change its mind (AC2), and nothing commits without every yes (AC3).
 */
export class Witness {
  readonly violations: string[] = [];
  private readonly outcomes = new Map<Txid, { readonly outcome: OutcomeStatus; readonly by: string }>();
  private readonly names = new Map<Txid, string>();

  constructor(private readonly onViolation: (text: string) => void) {}

  /** Txids are made with real randomness; in order of appearance they are the same in every replay. */
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
  row(site: string, before: BranchRow | null, after: BranchRow): void {
    const { txid, branch, state } = after;
    const where = `row of ${site}/${branch}`;
    const isStep = before === null || before.state === state || (before.state === 'prepared' && state !== 'read-only');
    if (!isStep) this.object(`AC2: ${where} of ${this.name(txid)} goes from ${before.state} to ${state}`);
    if (state === 'committed' || state === 'aborted') this.told(txid, state, where);
  }
}
