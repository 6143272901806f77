import { jest } from '@jest/globals';
import { AuditLog, createPool, InvalidCursorError, ParticipantRegistry, PgCoordinatorStore, TransactionReader, type TransactionFilter } from '#libs/postgres';
import type { Txid } from '#libs/protocol';
import { batch, begin, beginSaga, BRANCHES, decide, end, EVENT, freshDatabase, newTxid, type Pool } from '../support/store.js';

jest.setTimeout(60_000);

describe('the read side', () => {
  const T0 = 1_800_000_000_000;
  const MINUTE = 60_000;
  let pool: Pool;
  let reader: TransactionReader;
  const NAMES = ['committed', 'finished', 'refused', 'timedOut', 'pending', 'readOnly', 'onePhaseAbort', 'saga'] as const;
  const ids = Object.fromEntries(NAMES.map((name, i) => [name, newTxid(i % 2, T0 + i * MINUTE)])) as Readonly<Record<(typeof NAMES)[number], Txid>>;

  beforeAll(async () => {
    pool = createPool(await freshDatabase('coordinator'), { max: 2, applicationName: 'reader-spec' });
    reader = new TransactionReader(pool);
    const store = new PgCoordinatorStore(pool);
    const epochs = await store.acquireShards([0, 1], 'me');
    const alone = [BRANCHES[1]!];
    await store.flush(batch(epochs, {
      begins: [
        ...[ids.committed, ids.finished, ids.refused, ids.timedOut, ids.pending, ids.readOnly].map((txid) => begin(txid, { metadata: { source: 'web' } })),
        begin(ids.onePhaseAbort, { branches: alone }), beginSaga(ids.saga),
      ],
      decisions: [decide(ids.committed, 'COMMIT'), decide(ids.finished, 'COMMIT'), decide(ids.refused, 'ABORT'), decide(ids.timedOut, 'ABORT', { code: 'PREPARE_TIMEOUT' })],
    }));
    await store.flush(batch(epochs, {
      ends: [
        end(ids.finished, 'committed'), end(ids.refused, 'aborted', { code: 'OUT_OF_STOCK', participant: 'orders' }), end(ids.readOnly, 'committed'),
        { ...end(ids.onePhaseAbort, 'aborted', { code: 'INSUFFICIENT_FUNDS', participant: 'payments' }) },
      ],
    }));
  });

  afterAll(async () => pool?.end());

  async function names(filter: TransactionFilter): Promise<string[]> {
    const { items } = await reader.list(filter);
    return items.map((item) => Object.entries(ids).find(([, txid]) => txid === item.txid)![0]);
  }

  it('shows a transaction from what was flushed of it', async () => {
    const views = await reader.read(Object.values(ids));
    expect(views.get(ids.finished)).toEqual({
      txid: ids.finished, protocol: '2pc', status: 'committed', decision: 'COMMIT', reason: null, attention: null, resolved: null, metadata: { source: 'web' },
      createdAtMs: T0 + MINUTE, deadlineMs: T0 + MINUTE + 10_000, decidedAtMs: 1_700_000_001_000, finishedAtMs: 1_700_000_002_000,
      branches: [
        { index: 0, participant: 'orders', operation: 'place', state: 'committed', vote: 'yes', result: { seat: '12A' }, reason: null, attempts: 1, step: null },
        { index: 1, participant: 'payments', operation: 'debit', state: 'committed', vote: 'yes', result: { seat: '12A' }, reason: null, attempts: 1, step: null },
      ],
    });
    expect(views.get(ids.committed)).toMatchObject({ status: 'committed', finishedAtMs: null, branches: [{ state: 'prepared' }, { state: 'prepared' }] });
    expect(views.get(ids.pending)).toMatchObject({ status: 'pending', decidedAtMs: null, branches: [{ state: 'waiting', vote: null, attempts: 0 }, { state: 'waiting' }] });
    expect(views.get(ids.refused)).toMatchObject({ status: 'aborted', reason: { code: 'OUT_OF_STOCK' } });
    expect(views.get(ids.readOnly)).toMatchObject({ status: 'committed', decidedAtMs: 1_700_000_002_000 });
    expect(views.get(ids.onePhaseAbort)).toMatchObject({ status: 'aborted', reason: { code: 'INSUFFICIENT_FUNDS' } });
  });

  it('joins the parts of a timeline', async () => {
    expect(await reader.timeline(ids.finished)).toEqual([expect.objectContaining({ type: 'record', name: 'BEGIN', atMs: T0 + MINUTE }), EVENT, { ...EVENT, name: 'COMMIT', branch: 1, detail: 'for people' }]);
    expect((await reader.timeline(ids.pending))!.map((e) => e.name)).toEqual(['BEGIN']);
    expect(await reader.timeline(newTxid(0))).toBeNull();
  });

  it('filters by status, protocol, participant, reason and time, newest first', async () => {
    expect(await names({})).toEqual(['saga', 'onePhaseAbort', 'readOnly', 'pending', 'timedOut', 'refused', 'finished', 'committed']);
    expect(await names({ status: 'pending' })).toEqual(['pending']);
    expect(await names({ status: 'running' })).toEqual(['saga']);
    expect(await names({ status: 'committed' })).toEqual(['readOnly', 'finished', 'committed']);
    expect(await names({ status: 'aborted' })).toEqual(['onePhaseAbort', 'timedOut', 'refused']);
    expect(await names({ protocol: 'saga' })).toEqual(['saga']);
    expect(await names({ participant: 'orders', status: 'aborted' })).toEqual(['timedOut', 'refused']);
    expect(await names({ participant: 'nobody' })).toEqual([]);
    expect(await names({ reason: 'PREPARE_TIMEOUT' })).toEqual(['timedOut']);
    expect(await names({ reason: 'INSUFFICIENT_FUNDS' })).toEqual(['onePhaseAbort']);
    expect(await names({ reason: 'PREPARE_TIMEOUT', status: 'committed' })).toEqual([]);
    expect(await names({ sinceMs: T0 + 2 * MINUTE, untilMs: T0 + 4 * MINUTE })).toEqual(['timedOut', 'refused']);
  });

  it('pages by an opaque cursor under every filter, and refuses one that it did not make', async () => {
    for (const filter of [{}, { status: 'aborted' }, { status: 'pending' }, { participant: 'payments' }] as const) {
      const all = await names(filter);
      const paged: string[] = [];
      let cursor: string | undefined;
      do {
        const page = await reader.list({ ...filter, limit: 1, ...(cursor === undefined ? {} : { cursor }) });
        expect(page.items).toHaveLength(1);
        paged.push(Object.entries(ids).find(([, txid]) => txid === page.items[0]!.txid)![0]);
        cursor = page.nextCursor ?? undefined;
      } while (cursor !== undefined);
      expect(paged).toEqual(all);
    }
    for (const cursor of ['', 'nonsense', ids.saga, "' OR 1=1"]) await expect(reader.list({ cursor })).rejects.toThrow(InvalidCursorError);
  });

  it('counts, by outcome and reason', async () => {
    expect(await reader.counts(T0)).toEqual({
      sinceMs: T0, begun: 8, committed: 3, aborted: 3, completed: 0, compensated: 0, reasons: { OUT_OF_STOCK: 1, PREPARE_TIMEOUT: 1, INSUFFICIENT_FUNDS: 1 },
      pending: 1, running: 1, compensating: 0, needsAttention: 0, unfinished: 4,
    });
    expect(await reader.counts(T0 + 5 * MINUTE)).toMatchObject({ begun: 3, committed: 1, aborted: 1 });
  });

  it('tells outcomes in the order of their decision, from any point on', async () => {
    const all = await reader.decidedSince({ atMs: 0 }, 100);
    expect(all.map((e) => [e.txid, e.status])).toEqual([
      [ids.committed, 'committed'], [ids.finished, 'committed'], [ids.refused, 'aborted'], [ids.timedOut, 'aborted'], [ids.readOnly, 'committed'], [ids.onePhaseAbort, 'aborted'],
    ]);
    const { decidedAtMs: atMs, txid } = all[2]!;
    expect(await reader.decidedSince({ atMs, txid }, 2)).toEqual(all.slice(3, 5));
  });

  it('knows the participants, what they offer, and which are paused', async () => {
    const registry = new ParticipantRegistry(pool);
    const announce = (instance: string, version: string, names: readonly string[]) => ({
      kind: 'ANNOUNCE' as const, participant: 'payments', instance, version, acceptor: instance === 'b',
      operations: names.map((name) => ({ name, payloadSchema: { title: version }, uses: ['branch' as const], stepKinds: [] })),
    });
    await registry.announce([announce('a', '1', ['debit', 'refund'])]);
    await registry.announce([announce('b', '1', ['debit']), announce('b', '2', ['debit', 'credit'])]);
    expect(await registry.setPaused('payments', true)).toBe(true);
    await registry.announce([announce('a', '1', ['debit', 'refund'])]);
    const [payments, ...rest] = await registry.list();
    expect(rest).toEqual([]);
    expect(payments).toMatchObject({ name: 'payments', paused: true, instances: [{ instance: 'a', version: '1', live: true, acceptor: false }, { instance: 'b', version: '2', live: true, acceptor: true }] });
    expect(Object.fromEntries(payments!.operations.map((o) => [o.name, o.payloadSchema]))).toEqual({ debit: { title: '2' }, refund: { title: '1' }, credit: { title: '2' } });
    expect(payments!.lastSeenMs).toBe(payments!.instances[0]!.lastSeenMs);
    expect(await registry.setPaused('nobody', true)).toBe(false);
  });

  it('believes live instances only, as long as there are any', async () => {
    const registry = new ParticipantRegistry(pool);
    const announce = (instance: string, name: string) => ({ kind: 'ANNOUNCE' as const, participant: 'stale', instance, version: '1', acceptor: false, operations: [{ name, payloadSchema: {}, uses: ['branch' as const], stepKinds: [] }] });
    await registry.announce([announce('old', 'gone'), announce('new', 'there')]);
    const offered = async (): Promise<string[]> => (await registry.list()).find((p) => p.name === 'stale')!.operations.map((o) => o.name);
    await pool.query("UPDATE participant_instance SET last_seen_at = now() - interval '2 minutes' WHERE instance = 'old'");
    expect(await offered()).toEqual(['there']);
    await pool.query("UPDATE participant_instance SET last_seen_at = now() - interval '3 minutes' WHERE participant = 'stale' AND instance = 'new'");
    expect(await offered()).toEqual(['gone']);
  });

  it('keeps the audit in order, in pages, by target', async () => {
    const audit = new AuditLog(pool);
    for (const n of [1, 2, 3]) await audit.append({ actor: 'operate', action: 'cancel', target: n === 2 ? 'participant/payments' : ids.pending, comment: n === 1 ? null : `no. ${n}`, result: 'done' });
    const first = await audit.list(null, 2);
    expect(first.items).toMatchObject([{ comment: 'no. 3', atMs: expect.any(Number) }, { comment: 'no. 2' }]);
    const second = await audit.list(first.nextCursor, 2);
    expect(second).toMatchObject({ items: [{ comment: null, actor: 'operate', action: 'cancel', result: 'done' }], nextCursor: null });
    expect((await audit.list(null, 10, 'participant/payments')).items).toHaveLength(1);
    await expect(audit.list('1; DROP TABLE audit', 1)).rejects.toThrow(InvalidCursorError);
  });
});
