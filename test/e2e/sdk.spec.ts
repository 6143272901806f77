import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { Injectable } from '@nestjs/common';
import * as fc from 'fast-check';
import { Column, Entity, type EntityManager, PrimaryColumn } from 'typeorm';
import { Abort, AbortMany, type BranchCall, Commit, CommitMany, Participant, Prepare, PrepareMany, vote, type VoteResult } from '#libs/participant';
import { isTransientDatabaseError } from '#libs/postgres';
import type { Json } from '#libs/protocol';
import type { HandlerCall } from '#libs/runtime';
import { InventoryParticipant, OrdersParticipant, PaymentsParticipant } from '#libs/shop';
import { handlerCall as call, inAction as as, SdkBench as Bench } from '../support/sdk-bench.js';

/** Payments and inventory keep the same kind of books: something free, something held, and a journal of what has gone. */
interface Books {
  readonly role: 'payments' | 'inventory';
  readonly participant: object;
  readonly operation: string;
  readonly codes: { readonly unknown: string; readonly short: string };
  payload(key: string, amount: number): Json;
  readonly seed: string;
  /** Rows of key, free, held. */
  readonly accounts: string;
  /** Rows of key, gone. */
  readonly journal: string;
}

const PAYMENTS: Books = {
  role: 'payments', participant: new PaymentsParticipant(), operation: 'debit', codes: { unknown: 'UNKNOWN_CUSTOMER', short: 'INSUFFICIENT_FUNDS' },
  payload: (customerId, amountCents) => ({ orderId: `o-${randomUUID()}`, customerId, amountCents }),
  seed: 'INSERT INTO account (customer_id, balance_cents) SELECT * FROM unnest($1::text[], $2::bigint[])',
  accounts: 'SELECT customer_id AS key, balance_cents::int AS free, held_cents::int AS held FROM account WHERE customer_id = ANY($1)',
  journal: 'SELECT customer_id AS key, sum(amount_cents)::int AS gone FROM ledger_entry WHERE customer_id = ANY($1) GROUP BY customer_id',
};

const INVENTORY: Books = {
  role: 'inventory', participant: new InventoryParticipant(), operation: 'reserve', codes: { unknown: 'UNKNOWN_SKU', short: 'OUT_OF_STOCK' },
  payload: (sku, quantity) => ({ orderId: `o-${randomUUID()}`, sku, quantity }),
  seed: 'INSERT INTO stock (sku, available) SELECT * FROM unnest($1::text[], $2::bigint[])',
  accounts: 'SELECT sku AS key, available::int AS free, reserved::int AS held FROM stock WHERE sku = ANY($1)',
  journal: 'SELECT sku AS key, sum(quantity)::int AS gone FROM stock_movement WHERE sku = ANY($1) GROUP BY sku',
};

interface State { free: number; held: number; gone: number }

describe.each([PAYMENTS, INVENTORY])('the operation of $role', (books) => {
  let bench: Bench;
  beforeAll(async () => { bench = await Bench.open(books.role, books.participant); });
  afterAll(() => bench?.close());

  const prepare = (key: string, amount: number): HandlerCall => call('prepare', books.operation, books.payload(key, amount));

  async function seed(...free: readonly number[]): Promise<string[]> {
    const keys = free.map(() => `k-${randomUUID()}`);
    await bench.rows(books.seed, [keys, free]);
    return keys;
  }

  async function stateOf(keys: readonly string[]): Promise<State[]> {
    const accounts = new Map((await bench.rows<{ key: string; free: number; held: number }>(books.accounts, [keys])).map((row) => [row.key, row]));
    const gone = new Map((await bench.rows<{ key: string; gone: number }>(books.journal, [keys])).map((row) => [row.key, row.gone]));
    return keys.map((key) => ({ free: accounts.get(key)!.free, held: accounts.get(key)!.held, gone: gone.get(key) ?? 0 }));
  }

  it('holds in prepare, takes in commit, gives back in abort', async () => {
    const [a, b] = await seed(100, 100);
    const [first, second] = [prepare(a!, 30), prepare(b!, 40)];
    expect(await bench.run(first, second)).toEqual(['yes', 'yes']);
    expect(await stateOf([a!, b!])).toEqual([{ free: 70, held: 30, gone: 0 }, { free: 60, held: 40, gone: 0 }]);
    expect(await bench.run(...as('commit', [first]), ...as('abort', [second]))).toEqual(['done', 'done']);
    expect(await stateOf([a!, b!])).toEqual([{ free: 70, held: 0, gone: 30 }, { free: 100, held: 0, gone: 0 }]);
  });

  it('refuses what does not exist and what is not there, and nothing else of the batch', async () => {
    const [a] = await seed(100);
    expect(await bench.run(prepare('nobody', 1), prepare(a!, 101), prepare(a!, 100))).toEqual([books.codes.unknown, books.codes.short, 'yes']);
    expect(await stateOf([a!])).toEqual([{ free: 0, held: 100, gone: 0 }]);
  });

  it('serves many calls for the same key in one batch, in their order, until nothing is left', async () => {
    const [a] = await seed(100);
    expect(await bench.run(...[40, 40, 40, 20, 1].map((amount) => prepare(a!, amount)))).toEqual(['yes', 'yes', books.codes.short, 'yes', books.codes.short]);
    expect(await stateOf([a!])).toEqual([{ free: 0, held: 100, gone: 0 }]);
  });

  it('lets a prepare have what an abort of the same batch gives back', async () => {
    const [a] = await seed(100);
    const holder = prepare(a!, 100);
    await bench.run(holder);
    expect(await bench.run(prepare(a!, 100), ...as('abort', [holder]))).toEqual(['yes', 'done']);
  });

  it('commits two transactions that use the same order id', async () => {
    const [a] = await seed(100);
    const payload = books.payload(a!, 10);
    const both = [call('prepare', books.operation, payload), call('prepare', books.operation, payload)];
    expect(await bench.run(...both)).toEqual(['yes', 'yes']);
    expect(await bench.run(...as('commit', both))).toEqual(['done', 'done']);
    expect(await stateOf([a!])).toEqual([{ free: 80, held: 0, gone: 20 }]);
  });

  it('refuses a payload that breaks its schema, and an operation that does not exist', async () => {
    const [a] = await seed(100);
    expect(await bench.run(prepare(a!, -5), prepare(a!, 0.5), call('prepare', 'burn', {}), prepare(a!, 5))).toEqual(['INVALID_PAYLOAD', 'INVALID_PAYLOAD', 'UNKNOWN_OPERATION', 'yes']);
  });

  it('commits a single branch at once', async () => {
    const [a] = await seed(100);
    expect(await bench.run(call('prepare-and-commit', books.operation, books.payload(a!, 60)), call('prepare-and-commit', books.operation, books.payload(a!, 60)))).toEqual(['yes', books.codes.short]);
    expect(await stateOf([a!])).toEqual([{ free: 40, held: 0, gone: 60 }]);
  });

  it('conserves through any sequence of batches, and grants exactly what is free', async () => {
    const batch = fc.record({
      prepares: fc.array(fc.record({ key: fc.nat(2), amount: fc.integer({ min: 1, max: 60 }) }), { maxLength: 8 }),
      decide: fc.array(fc.record({ which: fc.nat(20), commit: fc.boolean() }), { maxLength: 8 }),
    });
    await fc.assert(fc.asyncProperty(fc.array(fc.nat(150), { minLength: 3, maxLength: 3 }), fc.array(batch, { maxLength: 8 }), async (free, batches) => {
      const keys = await seed(...free);
      const model: State[] = free.map((amount) => ({ free: amount, held: 0, gone: 0 }));
      let open: { readonly key: number; readonly amount: number; readonly call: HandlerCall }[] = [];
      for (const { prepares, decide } of batches) {
        const decided = new Map(decide.flatMap(({ which, commit }) => (open.length === 0 ? [] : [[open[which % open.length]!, commit] as const])));
        for (const [{ key, amount }, commit] of decided) {
          model[key]!.held -= amount;
          if (commit) model[key]!.gone += amount;
          else model[key]!.free += amount;
        }
        const expected = prepares.map(({ key, amount }) => {
          if (model[key]!.free < amount) return books.codes.short;
          model[key]!.free -= amount;
          model[key]!.held += amount;
          return 'yes';
        });
        const asked = prepares.map(({ key, amount }) => ({ key, amount, call: prepare(keys[key]!, amount) }));
        const decisions = [...decided].flatMap(([branch, commit]) => as(commit ? 'commit' : 'abort', [branch.call]));
        // Prepares first in the list: the order in which actions run is the runner's.
        const answers = await bench.run(...asked.map((branch) => branch.call), ...decisions);
        expect(answers).toEqual([...expected, ...decisions.map(() => 'done')]);
        open = [...open.filter((branch) => !decided.has(branch)), ...asked.filter((_, i) => expected[i] === 'yes')];
        const now = await stateOf(keys);
        expect(now).toEqual(model);
        now.forEach((state, i) => expect(state.free + state.held + state.gone).toBe(free[i]));
      }
    }), { numRuns: 40 });
  }, 60_000);

  it('never deadlocks when batches with different actions share rows at the same time', async () => {
    const keys = await seed(...Array.from({ length: 6 }, () => 1_000_000));
    const random = (): string => keys[Math.floor(Math.random() * keys.length)]!;
    const worker = async (): Promise<void> => {
      let open: readonly HandlerCall[] = [];
      for (let i = 0; i < 40; i++) {
        const next = Array.from({ length: 3 }, () => prepare(random(), 1));
        await bench.run(...next, ...as(i % 2 === 0 ? 'commit' : 'abort', open));
        open = next;
      }
    };
    await Promise.all([worker(), worker(), worker(), worker()]);
    expect(await bench.deadlocks()).toBe('0');
  }, 60_000);
});

describe('the operation of orders', () => {
  let bench: Bench;
  beforeAll(async () => { bench = await Bench.open('orders', new OrdersParticipant()); });
  afterAll(() => bench?.close());

  const place = (orderId: string, amountCents = 100): HandlerCall => call('prepare', 'place', { orderId, customerId: 'c-1', sku: 's-1', quantity: 1, amountCents });
  const order = async (id: string): Promise<{ status: string; amount: string } | undefined> => (await bench.rows<{ status: string; amount: string }>('SELECT status, amount_cents AS amount FROM orders WHERE id = $1', [id]))[0];
  const fresh = (): string => `o-${randomUUID()}`;

  it('places pending orders and confirms or rejects them', async () => {
    const [a, b] = [fresh(), fresh()];
    const [first, second] = [place(a), place(b)];
    expect(await bench.run(first, second)).toEqual(['yes', 'yes']);
    expect(await order(a)).toEqual({ status: 'pending', amount: '100' });
    await bench.run(...as('commit', [first]), ...as('abort', [second]));
    expect([await order(a), await order(b)]).toEqual([{ status: 'confirmed', amount: '100' }, { status: 'rejected', amount: '100' }]);
  });

  it('refuses the second of two orders with one id, in one batch, while pending and once confirmed', async () => {
    const id = fresh();
    const first = place(id);
    expect(await bench.run(first, place(fresh()), place(id, 200))).toEqual(['yes', 'yes', 'DUPLICATE_ORDER']);
    expect(await bench.run(place(id))).toEqual(['DUPLICATE_ORDER']);
    await bench.run(...as('commit', [first]));
    expect(await bench.run(place(id), place(id))).toEqual(['DUPLICATE_ORDER', 'DUPLICATE_ORDER']);
    expect(await order(id)).toEqual({ status: 'confirmed', amount: '100' });
  });

  it('lets the id of a rejected order be used again, once', async () => {
    const id = fresh();
    const first = place(id);
    await bench.run(first);
    await bench.run(...as('abort', [first]));
    const second = place(id, 300);
    expect(await bench.run(second, place(id, 400))).toEqual(['yes', 'DUPLICATE_ORDER']);
    await bench.run(...as('commit', [second]));
    expect(await order(id)).toEqual({ status: 'confirmed', amount: '300' });
  });

  it('gives an id that many want at the same time to exactly one', async () => {
    const id = fresh();
    const answers = await Promise.all(Array.from({ length: 5 }, () => bench.run(place(id))));
    expect(answers.flat().sort()).toEqual(['DUPLICATE_ORDER', 'DUPLICATE_ORDER', 'DUPLICATE_ORDER', 'DUPLICATE_ORDER', 'yes']);
  });
});

@Entity('note')
class Note {
  @PrimaryColumn({ type: 'text' })
  id: string;

  @Column({ type: 'text' })
  state: string;
}

const NOTE_SCHEMA = { type: 'object', properties: { id: { type: 'string' }, does: { type: 'string' } }, required: ['id'] };
type NoteCall = BranchCall<{ readonly id: string; readonly does?: string }>;

@Injectable()
@Participant('participant')
class NotesParticipant {
  @Prepare('note', { schema: NOTE_SCHEMA })
  async prepare({ payload }: NoteCall, manager: EntityManager): Promise<VoteResult> {
    await manager.insert(Note, { id: payload.id, state: 'draft' });
    if (payload.does === 'break a constraint') await manager.insert(Note, { id: payload.id, state: 'draft' });
    if (payload.does === 'swallow') await manager.insert(Note, { id: payload.id, state: 'draft' }).catch(() => undefined);
    return payload.does === 'refuse' ? vote.no('NOT_WANTED') : vote.yes({ id: payload.id });
  }

  @Commit('note')
  async commit({ payload }: NoteCall, manager: EntityManager): Promise<void> {
    await manager.update(Note, { id: payload.id }, { state: 'final' });
    if (payload.does === 'fail later') throw new Error('the printer is on fire');
  }

  @Abort('note')
  async abort({ payload }: NoteCall, manager: EntityManager): Promise<void> {
    await manager.delete(Note, { id: payload.id });
  }

  @PrepareMany('notes', { schema: NOTE_SCHEMA })
  async prepareMany(calls: readonly NoteCall[], manager: EntityManager): Promise<readonly VoteResult[]> {
    await manager.insert(Note, calls.map(({ payload }) => ({ id: payload.id, state: 'draft' })));
    if (calls.some(({ payload }) => payload.does === 'kill the connection')) await manager.query('SELECT pg_terminate_backend(pg_backend_pid())');
    return calls.map(() => vote.yes());
  }

  @CommitMany('notes')
  async commitMany(calls: readonly NoteCall[], manager: EntityManager): Promise<void> {
    await manager.query("UPDATE note SET state = 'final' WHERE id = ANY($1)", [calls.map(({ payload }) => payload.id)]);
  }

  @AbortMany('notes')
  async abortMany(): Promise<void> {}
}

describe('a handler that fails in Postgres', () => {
  let bench: Bench;
  beforeAll(async () => {
    bench = await Bench.open('participant', new NotesParticipant(), [Note]);
    await bench.rows('CREATE TABLE note (id text PRIMARY KEY, state text NOT NULL)');
  });
  afterAll(() => bench?.close());

  const note = (operation: string, id: string, does?: string): HandlerCall => call('prepare', operation, does === undefined ? { id } : { id, does });
  const notes = async (prefix: string): Promise<string[]> => (await bench.rows<{ text: string }>("SELECT id || ' ' || state AS text FROM note WHERE id LIKE $1 ORDER BY id", [`${prefix}%`])).map((row) => row.text);

  it.each(['break a constraint', 'refuse', 'swallow'])('is rolled back alone when it takes single items (%s)', async (does) => {
    const id = randomUUID();
    const answers = await bench.run(note('note', `${id}-1`), note('note', `${id}-2`, does), note('note', `${id}-3`));
    expect(answers).toEqual(['yes', does === 'refuse' ? 'NOT_WANTED' : 'HANDLER_FAILED', 'yes']);
    expect(await notes(id)).toEqual([`${id}-1 draft`, `${id}-3 draft`]);
  });

  it('takes none of its batch down: only the item at fault fails', async () => {
    const id = randomUUID();
    expect(await bench.run(note('notes', `${id}-1`))).toEqual(['yes']);
    expect(await bench.run(note('notes', `${id}-0`), note('notes', `${id}-1`), note('notes', `${id}-2`), note('note', `${id}-3`))).toEqual(['yes', 'HANDLER_FAILED', 'yes', 'yes']);
    expect(await notes(id)).toEqual([0, 1, 2, 3].map((n) => `${id}-${n} draft`));
  });

  it('leaves a decision to be tried again when commit throws, without its effect', async () => {
    const id = randomUUID();
    const calls = [note('note', `${id}-1`, 'fail later'), note('note', `${id}-2`)];
    await bench.run(...calls);
    expect(await bench.run(...as('commit', calls))).toEqual(['failed', 'done']);
    expect(await notes(id)).toEqual([`${id}-1 draft`, `${id}-2 final`]);
  });

  it('makes the whole batch run again when it is the database that failed', async () => {
    const id = randomUUID();
    const error = await bench.run(note('notes', `${id}-1`), note('notes', `${id}-2`, 'kill the connection')).catch((e: unknown) => e);
    expect(isTransientDatabaseError(error)).toBe(true);
    expect(await notes(id)).toEqual([]);
  });
});
