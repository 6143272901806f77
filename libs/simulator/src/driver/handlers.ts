import type { HandlerVote } from '#libs/protocol';
import type { BranchTransaction, HandlerCall, HandlerResult, HandlerRunner } from '#libs/runtime';
import { branchId, type Shelf, type ShelfHandle } from './branch-database.js';
import type { Wire } from './wire.js';

/**
 * take    holds a piece back and hands it over on commit; refuses when none is left
 * note    holds and hands over without needing a piece, so it never refuses
 * look    has nothing to undo or to apply: votes read-only
 * refuse  votes no
 */
export const OPERATIONS = ['take', 'note', 'look', 'refuse'] as const;
export type Operation = (typeof OPERATIONS)[number];

/** The handlers of a shop that sells one article; each call under a savepoint of its own. */
export function shelfRunner(wire: Wire): HandlerRunner<ShelfHandle> {
  return {
    async run(tx: BranchTransaction<ShelfHandle>, calls: readonly HandlerCall[]): Promise<readonly HandlerResult[]> {
      const results: HandlerResult[] = [];
      for (const call of calls) {
        try {
          results.push({ ok: true, vote: await tx.savepoint(() => handle(tx.handle, call, wire)) });
        } catch (error) {
          results.push({ ok: false, error });
        }
      }
      return results;
    },
  };
}

async function handle(handle: ShelfHandle, call: HandlerCall, wire: Wire): Promise<HandlerVote | null> {
  const { action } = call;
  const decides = action === 'commit' || action === 'abort' || action === 'compensate';
  if (!decides && call.operation === 'look') return { vote: 'read-only' };
  if (!decides && call.operation === 'refuse') return { vote: 'no', reason: { code: 'NOT_FOR_SALE' } };
  const shelf = await handle.open();
  const vote = APPLY[action](shelf, call);
  if (wire.happens('poison')) handle.poison();
  if ((decides || action === 'execute') && wire.happens('handlerFails')) throw new Error('the handler fails');
  return vote;
}

const APPLY: Readonly<Record<HandlerCall['action'], (shelf: Shelf, call: HandlerCall) => HandlerVote | null>> = {
  prepare: hold,
  'prepare-and-commit'(shelf, call) {
    const vote = hold(shelf, call);
    if (vote.vote === 'yes') handOver(shelf, call);
    return vote;
  },
  commit: handOver,
  abort: putBack,
  execute(shelf, call) {
    const vote = hold(shelf, call);
    if (vote.vote === 'yes') handOver(shelf, call);
    return vote;
  },
  compensate(shelf, call) {
    add(shelf.applied, call, -1);
    if (call.operation === 'take') shelf.available++;
    return null;
  },
};

function hold(shelf: Shelf, call: HandlerCall): HandlerVote {
  if (call.operation === 'take') {
    if (shelf.available === 0) return { vote: 'no', reason: { code: 'OUT_OF_STOCK' } };
    shelf.available--;
  }
  add(shelf.held, call, 1);
  return { vote: 'yes', result: { piece: call.branch } };
}

function handOver(shelf: Shelf, call: HandlerCall): null {
  add(shelf.held, call, -1);
  add(shelf.applied, call, 1);
  return null;
}

function putBack(shelf: Shelf, call: HandlerCall): null {
  add(shelf.held, call, -1);
  if (call.operation === 'take') shelf.available++;
  return null;
}

/** A count that comes back to nothing is forgotten; a negative one stays, to be found. */
function add(counts: Map<string, number>, call: HandlerCall, by: number): void {
  const id = branchId(call);
  const count = (counts.get(id) ?? 0) + by;
  if (count === 0) counts.delete(id);
  else counts.set(id, count);
}
