import { jest } from '@jest/globals';
import { TypeOrmBranchStore } from '#libs/postgres';
import type { BranchRow, Txid } from '#libs/protocol';
import type { AnyBranchRow, BranchKey, BranchTransaction } from '#libs/runtime';
import { DataSource, type EntityManager } from 'typeorm';
import { freshDatabase, newTxid, site, waitingForLock } from '../support/store.js';

jest.setTimeout(60_000);

describe('the branch store', () => {
  let source: DataSource;
  let store: TypeOrmBranchStore;

  beforeAll(async () => {
    source = await new DataSource({ type: 'postgres', url: await freshDatabase('payments'), extra: { max: 4, pipeline: true } }).initialize();
    await source.query("INSERT INTO account (customer_id, balance_cents) VALUES ('c-1', 1000)");
    store = new TypeOrmBranchStore(source);
  });

  afterAll(async () => source?.destroy());

  function row(txid: Txid, more: Partial<BranchRow> = {}): AnyBranchRow {
    return {
      protocol: '2pc', txid, branch: 1, state: 'prepared', onePhase: false, operation: 'debit', payload: { customerId: 'c-1', note: '"{\\}"' }, peers: ['orders', 'pay"ments\\'], reason: null, result: null,
      updatedAtMs: 1_700_000_000_123, ...more,
    };
  }

  type Tx = BranchTransaction<EntityManager>;
  const load = async (tx: Tx, branches: readonly BranchKey[]): Promise<readonly AnyBranchRow[]> => (await tx.load({ branches, acceptors: [], leaders: [] })).branches;
  const save = (tx: Tx, branches: readonly AnyBranchRow[]): Promise<void> => tx.save(site({ branches }));
  const stored = (txid: Txid): Promise<readonly AnyBranchRow[]> => store.transact((tx) => load(tx, [0, 1, 2].map((branch) => ({ txid, branch }))));

  async function balance(): Promise<string> {
    const [account] = await source.query("SELECT balance_cents FROM account WHERE customer_id = 'c-1'");
    return account.balance_cents;
  }

  const spend = (manager: EntityManager): Promise<unknown> => manager.query("UPDATE account SET balance_cents = balance_cents - 1 WHERE customer_id = 'c-1'");

  it('inserts what was not there and updates what was, in one set each', async () => {
    const [old, fresh] = [newTxid(0), newTxid(0)];
    await store.transact(async (tx) => { await save(tx, [row(old), row(old, { branch: 2, payload: null, peers: [] })]); });
    await store.transact(async (tx) => {
      const [loaded] = await load(tx, [{ txid: fresh, branch: 1 }, { txid: old, branch: 1 }]);
      await save(tx, [{ ...loaded!, state: 'committed', updatedAtMs: 1_700_000_000_999 } as AnyBranchRow, row(fresh, { state: 'aborted', operation: '', payload: null, reason: { code: 'CANCELLED' } })]);
    });
    expect(await stored(old)).toEqual([row(old, { state: 'committed', updatedAtMs: 1_700_000_000_999 }), row(old, { branch: 2, payload: null, peers: [] })]);
    expect(await stored(fresh)).toEqual([row(fresh, { state: 'aborted', operation: '', payload: null, reason: { code: 'CANCELLED' } })]);
  });

  it('writes a payload that has changed, and saves the same row twice in one transaction', async () => {
    const txid = newTxid(0);
    await store.transact(async (tx) => {
      await save(tx, [row(txid)]);
      await save(tx, [row(txid, { payload: { changed: true }, result: { held: 5 } })]);
    });
    expect(await stored(txid)).toEqual([row(txid, { payload: { changed: true }, result: { held: 5 } })]);
  });

  it('leaves neither rows nor effects behind when the work fails', async () => {
    const txid = newTxid(0);
    const before = await balance();
    await expect(store.transact(async (tx) => {
      await spend(tx.handle);
      await save(tx, [row(txid)]);
      throw new Error('handler bug');
    })).rejects.toThrow('handler bug');
    expect(await stored(txid)).toEqual([]);
    expect(await balance()).toBe(before);
  });

  it('undoes a failed savepoint alone', async () => {
    const txid = newTxid(0);
    const before = Number(await balance());
    await store.transact(async (tx) => {
      await spend(tx.handle);
      await expect(tx.savepoint(async () => {
        await spend(tx.handle);
        await tx.handle.query('SELECT 1/0');
      })).rejects.toMatchObject({ code: '22012' });
      expect(await tx.savepoint(async () => 'kept')).toBe('kept');
      await save(tx, [row(txid)]);
    });
    expect(Number(await balance())).toBe(before - 1);
    expect(await stored(txid)).toHaveLength(1);
  });

  it('does not report success when a handler swallowed an error of the database', async () => {
    const txid = newTxid(0);
    await expect(store.transact(async (tx) => {
      await save(tx, [row(txid)]);
      await tx.handle.query('SELECT 1/0').catch(() => undefined);
    })).rejects.toThrow('caught an error of the database');
    expect(await stored(txid)).toEqual([]);
  });

  it('fails transiently when another process inserts the row between load and save', async () => {
    const txid = newTxid(0);
    const race = store.transact(async (tx) => {
      expect(await load(tx, [{ txid, branch: 1 }])).toEqual([]);
      await store.transact(async (faster) => { await save(faster, [row(txid, { state: 'aborted' })]); });
      await spend(tx.handle);
      await save(tx, [row(txid)]);
    });
    const error = await race.catch((e: unknown) => e);
    expect(error).toMatchObject({ code: 'BRANCH_RACE' });
    expect(store.isTransient(error)).toBe(true);
    expect(await stored(txid)).toEqual([row(txid, { state: 'aborted' })]);
  });

  describe('with rows that are expected', () => {
    const decided = (before: AnyBranchRow): AnyBranchRow => ({ ...before, state: 'committed', updatedAtMs: 1_700_000_000_999 }) as AnyBranchRow;
    const decide = (rows: readonly AnyBranchRow[], absent: readonly AnyBranchRow[] = []): Promise<void> => store.transact(async (tx) => {
      const { branches } = await tx.load(site({ branches: [...rows, ...absent] }) as never, { present: rows, absent });
      expect(branches).toEqual(rows);
      await spend(tx.handle);
      await tx.save(site({ branches: [...rows.map(decided), ...absent] }));
    });

    it.each([1, 3])('writes %d of each without a look', async (count) => {
      const old = Array.from({ length: count }, () => row(newTxid(0), { result: { held: 1 } }));
      const fresh = Array.from({ length: count }, () => row(newTxid(0)));
      await store.transact((tx) => save(tx, old));
      await decide(old, fresh);
      for (const each of old) expect(await stored(each.txid)).toEqual([decided(each)]);
      for (const each of fresh) expect(await stored(each.txid)).toEqual([each]);
    });

    it.each<[string, number, Partial<BranchRow> | null]>([
      ['is in another state', 1, { state: 'aborted' }], ['of many is in another state', 3, { state: 'aborted' }], ['is gone', 1, null], ['of many is gone', 3, null],
    ])('leaves no effect behind when one %s', async (_what, count, found) => {
      const rows = Array.from({ length: count }, () => row(newTxid(0)));
      await store.transact((tx) => save(tx, rows.flatMap((each, i) => (i > 0 ? [each] : found === null ? [] : [{ ...each, ...found } as AnyBranchRow]))));
      const before = await balance();
      const error = await decide(rows).catch((e: unknown) => e);
      expect(error).toMatchObject({ code: 'BRANCH_RACE' });
      expect(store.isTransient(error)).toBe(true);
      expect(await balance()).toBe(before);
      for (const each of rows.slice(1)) expect(await stored(each.txid)).toEqual([each]);
    });

    it('leaves no effect behind when there is one that was expected to be absent', async () => {
      const barrier = row(newTxid(0), { state: 'aborted' });
      await store.transact((tx) => save(tx, [barrier]));
      const before = await balance();
      await expect(decide([], [{ ...barrier, state: 'prepared' } as AnyBranchRow])).rejects.toMatchObject({ code: 'BRANCH_RACE' });
      expect(await balance()).toBe(before);
    });
  });

  it('parses a statement of handlers once per connection, and again when its columns have changed', async () => {
    const one = await new DataSource({ type: 'postgres', url: (source.options as { url: string }).url, extra: { max: 1, pipeline: true } }).initialize();
    const single = new TypeOrmBranchStore(one);
    const look = (): Promise<unknown[]> => single.transact((tx) => tx.handle.query('SELECT * FROM notes WHERE id = $1', [1]));
    try {
      await one.query('CREATE TABLE notes (id int); INSERT INTO notes VALUES (1)');
      for (let i = 0; i < 3; i++) expect(await look()).toEqual([{ id: 1 }]);
      expect(await one.query("SELECT 1 FROM pg_prepared_statements WHERE statement LIKE 'SELECT * FROM notes%'")).toHaveLength(1);
      await one.query("ALTER TABLE notes ADD note text DEFAULT 'n'");
      const error = await look().catch((e: unknown) => e);
      expect(single.isTransient(error)).toBe(true);
      expect(await look()).toEqual([{ id: 1, note: 'n' }]);
    } finally {
      await one.destroy();
    }
  });

  it('sends what has no parameters in one message with its like, and counts on one answer for it', async () => {
    const one = await new DataSource({ type: 'postgres', url: (source.options as { url: string }).url, extra: { max: 1, pipeline: true } }).initialize();
    try {
      const client = await (one.driver as any).master.connect();
      client.release();
      let answers = 0;
      client.connection.on('readyForQuery', () => answers++);
      const txid = newTxid(0);
      const spendAndSave = async (before: AnyBranchRow | null, after: AnyBranchRow, beside?: AnyBranchRow): Promise<number> => {
        const sum = answers;
        await new TypeOrmBranchStore(one).transact(async (tx) => {
          const [key, none] = [{ txid: after.txid, branch: 1 }, { branches: [], acceptors: [], leaders: [] }];
          await tx.load({ ...none, branches: [key] }, before === null ? { present: [], absent: [key] } : { present: [before], absent: [] });
          await tx.savepoint(() => spend(tx.handle), 'unchecked');
          await save(tx, beside === undefined ? [after] : [after, beside]);
        });
        return answers - sum;
      };
      // BEGIN and SAVEPOINT; the handler's; RELEASE and, to find the row, the settings; ours; COMMIT.
      expect([await spendAndSave(null, row(txid)), await spendAndSave(row(txid), row(txid, { state: 'committed' }))]).toEqual([5, 5]);
      expect(await stored(txid)).toEqual([row(txid, { state: 'committed' })]);
      // Both a new row and a changed one.
      const [old, next] = [row(newTxid(0)), row(newTxid(0))];
      await spendAndSave(null, old);
      expect(await spendAndSave(old, { ...old, state: 'committed' } as AnyBranchRow, next)).toBe(6);
    } finally {
      await one.destroy();
    }
  });

  it('plans what finds its rows once per connection, and a handler\'s statements as the server is set', async () => {
    const one = await new DataSource({ type: 'postgres', url: (source.options as { url: string }).url, extra: { max: 1, pipeline: true } }).initialize();
    try {
      const single = new TypeOrmBranchStore(one);
      const settings: unknown[] = [];
      for (let i = 0; i < 3; i++) {
        const present = row(newTxid(0));
        await single.transact((tx) => save(tx, [present]));
        await single.transact(async (tx) => {
          await tx.load({ branches: [{ txid: present.txid, branch: 1 }, { txid: present.txid, branch: 2 }], acceptors: [], leaders: [] }, { present: [present], absent: [] });
          settings.push(...(await tx.handle.query("SELECT current_setting('plan_cache_mode') AS plans, current_setting('enable_seqscan') AS scans")));
          await save(tx, [{ ...present, state: 'committed' } as AnyBranchRow]);
        });
      }
      expect(settings).toEqual(Array.from({ length: 3 }, () => ({ plans: 'auto', scans: 'on' })));
      expect(await one.query("SELECT name, custom_plans::int AS custom FROM pg_prepared_statements WHERE name IN ('load-branches', 'decide-branch') ORDER BY name")).toEqual([
        { name: 'decide-branch', custom: 0 }, { name: 'load-branches', custom: 0 },
      ]);
    } finally {
      await one.destroy();
    }
  });

  it('holds loaded rows until the flush', async () => {
    const txid = newTxid(0);
    await store.transact(async (tx) => { await save(tx, [row(txid)]); });
    let second: Promise<readonly AnyBranchRow[]> | undefined;
    await store.transact(async (tx) => {
      const [loaded] = await load(tx, [{ txid, branch: 1 }]);
      second = stored(txid);
      await waitingForLock({ query: async (sql: string, values: unknown[]) => ({ rows: await source.query(sql, values) }) }, null);
      await save(tx, [{ ...loaded!, state: 'committed' } as AnyBranchRow]);
    });
    expect(await second).toMatchObject([{ state: 'committed' }]);
  });

  it('gives prepared branches in pages in key order', async () => {
    await source.query('DELETE FROM concordat_branch');
    const txids = Array.from({ length: 5 }, () => newTxid(0));
    await store.transact((tx) => save(tx, [...txids.toReversed().flatMap((txid) => [row(txid, { branch: 2 }), row(txid, { branch: 0 })]), row(newTxid(0), { state: 'committed' })]));
    const keys: string[] = [];
    const sizes: number[] = [];
    for (let after: AnyBranchRow | null = null; ;) {
      const page: readonly AnyBranchRow[] = await store.loadUndecided(after, 4);
      sizes.push(page.length);
      keys.push(...page.map((r) => `${r.txid}/${r.branch}`));
      if (page.length < 4) break;
      after = page.at(-1)!;
    }
    expect(sizes).toEqual([4, 4, 2]);
    expect(keys).toEqual(txids.flatMap((txid) => [`${txid}/0`, `${txid}/2`]));
  });

  it('tells a refused row of a handler from a fault that passes', async () => {
    const error = await store.transact((tx) => tx.handle.query("INSERT INTO account (customer_id, balance_cents) VALUES ('c-1', 1)")).catch((e: unknown) => e);
    expect(error).toMatchObject({ code: '23505' });
    expect(store.isTransient(error)).toBe(false);
    const killed = await store.transact((tx) => tx.handle.query('SELECT pg_terminate_backend(pg_backend_pid())')).catch((e: unknown) => e);
    expect(store.isTransient(killed)).toBe(true);
  });

  describe('a handler with transactions of its own', () => {
    const fail = (tx: Tx) => tx.handle.query('SELECT 1 / 0');

    it('gets a savepoint that it may roll back', async () => {
      const txid = newTxid(0);
      await store.transact(async (tx) => {
        await load(tx, [{ txid, branch: 1 }]);
        await expect(tx.handle.transaction((inner) => inner.query('SELECT 1 / 0'))).rejects.toThrow('division by zero');
        await save(tx, [row(txid)]);
      });
      expect(await stored(txid)).toEqual([row(txid)]);
    });

    it('cannot end the transaction of its branch, even after it has swallowed an error', async () => {
      const [txid, neighbour] = [newTxid(0), newTxid(0)];
      const before = Number(await balance());
      const error = await store.transact(async (tx) => {
        await load(tx, [{ txid, branch: 1 }, { txid: neighbour, branch: 1 }]);
        await tx.savepoint(() => spend(tx.handle));
        await tx.savepoint(async () => {
          await fail(tx).catch(() => undefined);
          await tx.handle.transaction((inner) => inner.query('SELECT 1'));
        }).catch(() => undefined);
        await save(tx, [row(txid), row(neighbour)]);
      }).then(() => null, (e: unknown) => e);
      // All of it or none of it: a row without its effect would be a vote for nothing.
      expect(await stored(txid)).toEqual(error === null ? [row(txid)] : []);
      expect(Number(await balance())).toBe(error === null ? before - 1 : before);
    });

    it('is refused when it ends the transaction by hand', async () => {
      const txid = newTxid(0);
      await expect(store.transact(async (tx) => {
        await load(tx, [{ txid, branch: 1 }]);
        await tx.savepoint(() => tx.handle.query('ROLLBACK'));
        await save(tx, [row(txid)]);
      })).rejects.toThrow('ended the transaction');
      expect(await stored(txid)).toEqual([]);
    });

    it('leaves nothing behind on the connection when it runs on after a failure beside it', async () => {
      const txid = newTxid(0);
      const before = await balance();
      await expect(store.transact(async (tx) => {
        await load(tx, [{ txid, branch: 1 }]);
        await Promise.all([tx.handle.transaction(async (inner) => { await inner.query('SELECT pg_sleep(0.3)'); await spend(inner); }), Promise.reject(new Error('beside it'))]);
      })).rejects.toThrow('beside it');
      await source.query('SELECT pg_sleep(0.5)');
      expect(await balance()).toBe(before);
      expect(await source.query("SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND state LIKE 'idle in transaction%'")).toEqual([]);
    });
  });
});
