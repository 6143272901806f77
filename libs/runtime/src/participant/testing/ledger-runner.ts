import type { HandlerVote } from '#libs/protocol';
import type { BranchTransaction } from '../../ports.js';
import type { HandlerCall, HandlerResult, HandlerRunner } from '../types.js';
import type { Ledger } from './memory-branch-store.js';

type Handler = (ledger: Ledger, call: HandlerCall) => HandlerVote | void;

/** Runs single handlers under savepoints: reserve on prepare, book on commit, give back on abort; a step books and unbooks. Unless replaced. */
export class LedgerRunner implements HandlerRunner<Ledger> {
  /** Calls of every run, in order. */
  readonly runs: (readonly HandlerCall[])[] = [];
  prepare: Handler = (ledger) => {
    ledger.add('reserved', 1);
    return { vote: 'yes', result: { hold: 'h-1' } };
  };
  commit: Handler = (ledger) => ledger.add('booked', 1);
  abort: Handler = (ledger) => ledger.add('reserved', -1);
  execute: Handler = (ledger) => {
    ledger.add('booked', 1);
    return { vote: 'yes', result: { entry: 'e-1' } };
  };
  compensate: Handler = (ledger) => ledger.add('booked', -1);

  get calls(): readonly HandlerCall[] {
    return this.runs.flat();
  }

  async run(tx: BranchTransaction<Ledger>, calls: readonly HandlerCall[]): Promise<readonly HandlerResult[]> {
    this.runs.push(calls);
    const results: HandlerResult[] = [];
    for (const call of calls) results.push(await this.runOne(tx, call));
    return results;
  }

  private async runOne(tx: BranchTransaction<Ledger>, call: HandlerCall): Promise<HandlerResult> {
    try {
      return { ok: true, vote: await tx.savepoint(async () => this.apply(tx.handle, call)) };
    } catch (error) {
      return { ok: false, error };
    }
  }

  private apply(ledger: Ledger, call: HandlerCall): HandlerVote | null {
    const { action } = call;
    if (action !== 'prepare' && action !== 'prepare-and-commit') return (this[action](ledger, call) as HandlerVote | undefined) ?? null;
    const vote = this.prepare(ledger, call) as HandlerVote;
    if (action === 'prepare-and-commit' && vote.vote === 'yes') this.commit(ledger, call);
    return vote;
  }
}
