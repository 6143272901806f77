import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import * as fc from 'fast-check';
import {
  makeTxid, type Json, type SagaHandlerAnswer, type SagaParticipantState, type SagaStepKind, type SagaToParticipant, stepSagaParticipant, type Txid,
} from '#libs/protocol';
import type { HandlerCall, HandlerResult } from '#libs/runtime';
import { InventoryParticipant, OrdersParticipant, PaymentsParticipant } from '#libs/shop';
import { handlerCall as call, inAction as as, SdkBench as Bench } from '../support/sdk-bench.js';

const REASON = { code: 'CANCELLED' };
const fresh = (what: string): string => `${what}-${randomUUID()}`;

describe('the steps of orders', () => {
  let bench: Bench;
  beforeAll(async () => { bench = await Bench.open('orders', new OrdersParticipant()); });
  afterAll(() => bench?.close());

  const place = (orderId: string): HandlerCall => call('execute', 'place', { orderId, customerId: 'c-1', sku: 's-1', quantity: 1, amountCents: 100 });
  const confirm = (orderId: string): HandlerCall => call('execute', 'confirm', { orderId });
  const statusOf = async (id: string): Promise<string | undefined> => (await bench.rows<{ status: string }>('SELECT status FROM orders WHERE id = $1', [id]))[0]?.status;

  it('leave a placed order pending until the saga confirms it: a semantic lock', async () => {
    const id = fresh('o');
    const [placed] = await bench.results([place(id)]);
    expect(placed).toEqual({ ok: true, vote: { vote: 'yes', result: { orderId: id } } });
    expect(await statusOf(id)).toBe('pending');
    expect(await bench.run(place(id), call('prepare', 'place', place(id).payload))).toEqual(['DUPLICATE_ORDER', 'DUPLICATE_ORDER']);
    expect(await bench.run(confirm(id))).toEqual(['yes']);
    expect(await statusOf(id)).toBe('confirmed');
  });

  it('reject the order when place is compensated, and free its id for a saga in the same batch', async () => {
    const id = fresh('o');
    const first = place(id);
    await bench.run(first);
    expect(await bench.run(place(id), ...as('compensate', [first]))).toEqual(['yes', 'done']);
    expect(await statusOf(id)).toBe('pending');
  });

  it('confirm only what is pending, each once, and hold up no neighbour', async () => {
    const [a, b, none] = [fresh('o'), fresh('o'), fresh('o')];
    await bench.run(place(a), place(b));
    expect(await bench.run(confirm(none), confirm(a), confirm(a), confirm(b))).toEqual(['ORDER_NOT_PENDING', 'yes', 'ORDER_NOT_PENDING', 'yes']);
    expect(await bench.run(confirm(a))).toEqual(['ORDER_NOT_PENDING']);
    expect([await statusOf(a), await statusOf(none)]).toEqual(['confirmed', undefined]);
  });

  it('do not compensate an order that somebody has confirmed: that fails, for a person to see, and its neighbour is rejected', async () => {
    const [a, b] = [fresh('o'), fresh('o')];
    const calls = [place(a), place(b)];
    await bench.run(...calls);
    await bench.run(confirm(a));
    expect(await bench.run(...as('compensate', calls))).toEqual(['failed', 'done']);
    expect([await statusOf(a), await statusOf(b)]).toEqual(['confirmed', 'rejected']);
  });

  it('cannot be mistaken for branches', async () => {
    expect(await bench.run(call('prepare', 'confirm', { orderId: 'o' }))).toEqual(['UNKNOWN_OPERATION']);
  });
});

describe('the step of payments', () => {
  let bench: Bench;
  beforeAll(async () => { bench = await Bench.open('payments', new PaymentsParticipant()); });
  afterAll(() => bench?.close());

  const debit = (customerId: string, amountCents: number, orderId = fresh('o')): HandlerCall => call('execute', 'debit', { orderId, customerId, amountCents });

  async function seed(cents: number): Promise<string> {
    const id = fresh('c');
    await bench.rows('INSERT INTO account (customer_id, balance_cents) VALUES ($1, $2)', [id, cents]);
    return id;
  }
  const stateOf = async (id: string): Promise<unknown> => (await bench.rows(`
    SELECT balance_cents::int AS balance, held_cents::int AS held, (SELECT coalesce(sum(amount_cents), 0)::int FROM ledger_entry l WHERE l.customer_id = a.customer_id) AS ledger
      FROM account a WHERE customer_id = $1`, [id]))[0];

  it('pays at once, in the order of the calls, until nothing is left, and enters only what it paid', async () => {
    const id = await seed(100);
    expect(await bench.run(debit(id, 60), debit(id, 60), debit('nobody', 1), debit(id, 40))).toEqual(['yes', 'INSUFFICIENT_FUNDS', 'UNKNOWN_CUSTOMER', 'yes']);
    expect(await stateOf(id)).toEqual({ balance: 0, held: 0, ledger: 100 });
  });

  it('leaves alone what branches of other transactions hold', async () => {
    const id = await seed(100);
    const held = call('prepare', 'debit', { orderId: fresh('o'), customerId: id, amountCents: 70 });
    expect(await bench.run(held, debit(id, 30), debit(id, 1))).toEqual(['yes', 'yes', 'INSUFFICIENT_FUNDS']);
    expect(await stateOf(id)).toEqual({ balance: 0, held: 70, ledger: 30 });
    expect(await bench.run(...as('abort', [held]), debit(id, 70))).toEqual(['done', 'yes']);
    expect(await stateOf(id)).toEqual({ balance: 0, held: 0, ledger: 100 });
  });

  it('is the pivot: it has no compensation', async () => {
    expect(await bench.run(call('compensate', 'debit', { orderId: 'o', customerId: await seed(1), amountCents: 1 }))).toEqual(['failed']);
  });
});

describe('the step of inventory', () => {
  let bench: Bench;
  beforeAll(async () => { bench = await Bench.open('inventory', new InventoryParticipant()); });
  afterAll(() => bench?.close());

  const reserve = (sku: string, quantity: number, orderId = fresh('o')): HandlerCall => call('execute', 'reserve', { orderId, sku, quantity });

  async function seed(...pieces: readonly number[]): Promise<string[]> {
    const skus = pieces.map(() => fresh('s'));
    await bench.rows('INSERT INTO stock (sku, available) SELECT * FROM unnest($1::text[], $2::bigint[])', [skus, pieces]);
    return skus;
  }
  const stockOf = async (skus: readonly string[]): Promise<readonly unknown[]> => {
    const rows = await bench.rows<{ sku: string; available: number; reserved: number }>('SELECT sku, available::int AS available, reserved::int AS reserved FROM stock WHERE sku = ANY($1)', [skus]);
    return skus.map((sku) => rows.filter((row) => row.sku === sku).map(({ available, reserved }) => ({ available, reserved }))[0]);
  };
  const movementsOf = async (orderId: string): Promise<readonly number[]> => (await bench.rows<{ quantity: number }>('SELECT quantity FROM stock_movement WHERE order_id = $1 ORDER BY quantity DESC', [orderId])).map((row) => row.quantity);

  it('takes the pieces at once and puts them back by an entry of its own', async () => {
    const [a] = await seed(10);
    const order = fresh('o');
    const step = reserve(a!, 4, order);
    expect(await bench.run(step)).toEqual(['yes']);
    expect([await stockOf([a!]), await movementsOf(order)]).toEqual([[{ available: 6, reserved: 0 }], [4]]);
    expect(await bench.run(...as('compensate', [step]))).toEqual(['done']);
    expect([await stockOf([a!]), await movementsOf(order)]).toEqual([[{ available: 10, reserved: 0 }], [4, -4]]);
  });

  it('compensates whatever others have taken meanwhile: updates commute', async () => {
    const [a] = await seed(10);
    const step = reserve(a!, 4);
    await bench.run(step);
    expect(await bench.run(reserve(a!, 6), reserve(a!, 1))).toEqual(['yes', 'OUT_OF_STOCK']);
    expect(await bench.run(reserve(a!, 4), ...as('compensate', [step]))).toEqual(['yes', 'done']);
    expect(await stockOf([a!])).toEqual([{ available: 0, reserved: 0 }]);
  });

  it('refuses in the order of the calls and moves nothing for what it refuses', async () => {
    const [a] = await seed(10);
    const order = fresh('o');
    expect(await bench.run(reserve(a!, 11, order), reserve('none', 1, order), reserve(a!, 10))).toEqual(['OUT_OF_STOCK', 'UNKNOWN_SKU', 'yes']);
    expect(await movementsOf(order)).toEqual([]);
  });

  it('never deadlocks when steps, compensations and branches share rows at the same time', async () => {
    const skus = await seed(...Array.from({ length: 6 }, () => 1_000_000));
    const random = (): string => skus[Math.floor(Math.random() * skus.length)]!;
    const worker = async (): Promise<void> => {
      let done: readonly HandlerCall[] = [];
      let held: readonly HandlerCall[] = [];
      for (let i = 0; i < 40; i++) {
        const steps = Array.from({ length: 3 }, () => reserve(random(), 1));
        const branches = steps.map(({ payload }) => call('prepare', 'reserve', payload));
        await bench.run(...steps, ...branches, ...as('compensate', done), ...as(i % 2 === 0 ? 'commit' : 'abort', held));
        [done, held] = [steps, branches];
      }
    };
    await Promise.all([worker(), worker(), worker(), worker()]);
    expect(await bench.deadlocks()).toBe('0');
  }, 60_000);

  it('behind its barrier, leaves stock and movements right through any order of messages, repeated, late and overtaken', async () => {
    const message = fc.record({ saga: fc.nat(5), kind: fc.constantFrom('EXECUTE' as const, 'COMPENSATE' as const) });
    const batches = fc.array(fc.uniqueArray(message, { selector: ({ saga }) => saga, minLength: 1, maxLength: 4 }), { maxLength: 12 });
    const sagas = fc.array(fc.record({ sku: fc.nat(1), quantity: fc.integer({ min: 1, max: 60 }) }), { minLength: 6, maxLength: 6 });
    await fc.assert(fc.asyncProperty(fc.tuple(fc.nat(100), fc.nat(100)), sagas, batches, async (pieces, specs, list) => {
      const skus = await seed(...pieces);
      const steps = specs.map(({ sku, quantity }) => new Step('reserve', 'compensatable', { orderId: fresh('o'), sku: skus[sku]!, quantity }));
      const seen = steps.map(() => ({ executed: false, over: false }));
      for (const batch of list) {
        await deliver(bench, batch.map(({ saga, kind }) => [steps[saga]!, kind] as const));
        for (const { saga, kind } of batch) {
          seen[saga]!.over ||= kind === 'COMPENSATE';
          seen[saga]!.executed ||= kind === 'EXECUTE';
        }
        // Whatever came before: a step whose compensation has come has no effect, and no step has more than one.
        const taken = steps.map((step) => (step.rowState === 'executed' ? 1 : 0));
        const left = pieces.map((amount, key) => amount - specs.reduce((sum, { sku, quantity }, i) => sum + (sku === key ? taken[i]! * quantity : 0), 0));
        expect(await stockOf(skus)).toEqual(left.map((available) => ({ available, reserved: 0 })));
        for (const [i, step] of steps.entries()) {
          const { orderId, quantity } = step.payload as { orderId: string; quantity: number };
          expect((await movementsOf(orderId)).reduce((sum, n) => sum + n, 0)).toBe(taken[i]! * quantity);
          if (seen[i]!.over) expect(taken[i]).toBe(0);
          if (!seen[i]!.executed) expect(await movementsOf(orderId)).toEqual([]);
        }
      }
    }), { numRuns: 30 });
  }, 60_000);
});

/** One step's row, as the driver would keep it in the same local transaction. */
class Step {
  state: SagaParticipantState = { phase: 'none' };
  private readonly txid = makeTxid(0, Date.now(), Buffer.from(randomUUID().replaceAll('-', ''), 'hex'));

  constructor(readonly operation: string, readonly stepKind: SagaStepKind, readonly payload: Json) {}

  get rowState(): string {
    return this.state.phase === 'stored' ? this.state.row.state : this.state.phase;
  }

  message(kind: 'EXECUTE' | 'COMPENSATE'): SagaToParticipant {
    const about = { protocol: 'saga', txid: this.txid as Txid, branch: 0, step: 'a' } as const;
    return kind === 'COMPENSATE' ? { ...about, kind, reason: REASON } : { ...about, kind, stepKind: this.stepKind, operation: this.operation, payload: this.payload, inputs: {} };
  }
}

/** One message for each of some steps: machines, then all handlers in one local transaction, then machines again. */
async function deliver(bench: Bench, messages: readonly (readonly [Step, 'EXECUTE' | 'COMPENSATE'])[]): Promise<void> {
  const now = Date.now();
  const waiting: { readonly step: Step; readonly call: HandlerCall }[] = [];
  for (const [step, kind] of messages) {
    const message = step.message(kind);
    const { state, ready } = stepSagaParticipant(step.state, { kind: 'MESSAGE', message }, now, {});
    step.state = state;
    if (ready.run !== undefined) waiting.push({ step, call: { ...ready.run, protocol: 'saga', txid: message.txid, branch: 0 } });
  }
  const results = await bench.results(waiting.map((each) => each.call));
  waiting.forEach(({ step, call: { action } }, i) => { step.state = stepSagaParticipant(step.state, { kind: 'EXECUTED', answer: answerOf(action, results[i]!) }, now, {}).state; });
}

function answerOf(action: HandlerCall['action'], result: HandlerResult): SagaHandlerAnswer {
  if (!result.ok) throw result.error;
  if (action === 'compensate') return { said: 'done' };
  const { vote } = result;
  return vote!.vote === 'no' ? { said: 'no', reason: vote!.reason! } : { said: 'done', result: vote!.result ?? null };
}
