import { AbortMany, type BranchCall, CommitMany, CompensateMany, ExecuteMany, LockMany, PrepareMany, type StepResult } from '#libs/participant';
import type { Json } from '#libs/protocol';
import { expectUpdated, type Granted, grantInOrder, grantMost, lockInOrder, sortedKeys, type Totals, totalsOf, type UpdateResult, WISHES, type Wish } from '#libs/shop';
import type { EntityManager } from 'typeorm';

export interface Hold {
  readonly orderId: string;
  readonly key: string;
  readonly amount: number;
  /** Only there to be carried. */
  readonly padding?: string;
}

type Call = BranchCall<Hold>;

const NAME = { type: 'string', minLength: 1, maxLength: 100 } as const;
const SCHEMA: Json = {
  type: 'object',
  properties: { orderId: NAME, key: NAME, amount: { type: 'integer', minimum: 1, maximum: 1_000_000_000 }, padding: { type: 'string' } },
  required: ['orderId', 'key', 'amount'],
  additionalProperties: false,
};

const REFUSAL = { unknown: 'UNKNOWN_KEY', short: 'OUT_OF_SUPPLY' };

const GATE = lockInOrder('supply', 'key', 7_205_023);

/** In key order, so that batches that run at the same time wait for each other instead of deadlocking. */
const LOCK = 'SELECT key, available FROM supply WHERE key = ANY($1::text[]) ORDER BY key FOR UPDATE';

const change = (set: string): string => `
  UPDATE supply SET ${set}
    FROM ${WISHES} WHERE supply.key = d.key`;
const withMovements = (sql: string): string => `
  WITH moved AS (INSERT INTO supply_movement (order_id, key, amount) SELECT * FROM unnest($3::text[], $4::text[], $5::int[])) ${sql}`;

const HOLD = `${change('available = available - d.amount, held = held + d.amount')} AND supply.available >= d.amount RETURNING supply.key`;
const GIVE_BACK = change('available = available + d.amount, held = held - d.amount');
const MOVE_OUT = withMovements(change('held = held - d.amount'));
/** Negative amounts put back. */
const TAKE = withMovements(change('available = available - d.amount'));

/** The operation `hold`, which costs what inventory's `reserve` costs: the same statements on a table of its own. */
export abstract class HoldHandlers {
  @LockMany('hold', { oneStatement: true })
  async lock(calls: readonly Call[], manager: EntityManager): Promise<void> {
    await manager.query(GATE, [calls.map((call) => call.payload.key)]);
  }

  /** Refuses UNKNOWN_KEY and OUT_OF_SUPPLY; one key is granted in the order of the calls. */
  @PrepareMany('hold', { schema: SCHEMA })
  async prepare(calls: readonly Call[], manager: EntityManager): Promise<readonly StepResult[]> {
    return grantMost(calls.map((call) => wishOf(call)), { take: (totals) => hold(totals, manager), look: (keys) => look(keys, manager) }, REFUSAL);
  }

  @CommitMany('hold', { oneStatement: true })
  async commit(calls: readonly Call[], manager: EntityManager): Promise<void> {
    await update(MOVE_OUT, totalsOf(calls.map((call) => wishOf(call))), manager, movements(calls));
  }

  @AbortMany('hold', { oneStatement: true })
  async abort(calls: readonly Call[], manager: EntityManager): Promise<void> {
    await update(GIVE_BACK, totalsOf(calls.map((call) => wishOf(call))), manager);
  }

  /** Refuses as prepare does. */
  @ExecuteMany('hold', { schema: SCHEMA })
  async take(calls: readonly Call[], manager: EntityManager): Promise<readonly StepResult[]> {
    const { votes, totals } = await grant(calls, manager);
    if (totals.keys.length > 0) await update(TAKE, totals, manager, movements(calls.filter((_, i) => votes[i]!.vote === 'yes')));
    return votes;
  }

  @CompensateMany('hold', { oneStatement: true })
  async putBack(calls: readonly Call[], manager: EntityManager): Promise<void> {
    await update(TAKE, totalsOf(calls.map((call) => wishOf(call, -1))), manager, movements(calls, -1));
  }
}

async function grant(calls: readonly Call[], manager: EntityManager): Promise<Granted> {
  return grantInOrder(calls.map((call) => wishOf(call)), await lockSupply(calls, manager), REFUSAL);
}

function wishOf({ payload }: Call, sign: 1 | -1 = 1): Wish {
  return { key: payload.key, amount: sign * payload.amount };
}

/** Columns of supply_movement. */
function movements(calls: readonly Call[], sign: 1 | -1 = 1): readonly (readonly unknown[])[] {
  const payloads = calls.map((call) => call.payload);
  return [payloads.map((p) => p.orderId), payloads.map((p) => p.key), payloads.map((p) => sign * p.amount)];
}

function lockSupply(calls: readonly Call[], manager: EntityManager): Promise<ReadonlyMap<string, number>> {
  return look(sortedKeys(calls.map((call) => call.payload.key)), manager);
}

async function look(keys: readonly string[], manager: EntityManager): Promise<ReadonlyMap<string, number>> {
  const rows: readonly { readonly key: string; readonly available: string }[] = await manager.query(LOCK, [keys]);
  return new Map(rows.map((row) => [row.key, Number(row.available)]));
}

async function hold({ keys, amounts }: Totals, manager: EntityManager): Promise<ReadonlySet<string>> {
  const [rows] = await manager.query<readonly [readonly { readonly key: string }[], number]>(HOLD, [keys, amounts]);
  return new Set(rows.map((row) => row.key));
}

async function update(sql: string, { keys, amounts }: Totals, manager: EntityManager, more: readonly unknown[] = []): Promise<void> {
  const result: UpdateResult = await manager.query(sql, [keys, amounts, ...more]);
  expectUpdated(result, keys.length, 'keys');
}
