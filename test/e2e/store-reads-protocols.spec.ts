import { jest } from '@jest/globals';
import { createPool, PgCoordinatorStore, TransactionReader, type TransactionFilter } from '#libs/postgres';
import type { SagaStepReport, Txid } from '#libs/protocol';
import type { ShardEpoch, TransactionStatus } from '#libs/runtime';
import { batch, begin, beginSaga, decide, end, freshDatabase, newTxid, type Pool, progress } from '../support/store.js';

jest.setTimeout(60_000);

describe('the read side, of all protocols', () => {
  const T0 = 1_800_000_000_000;
  const MINUTE = 60_000;
  const SECOND = 1_000;
  let pool: Pool;
  let store: PgCoordinatorStore;
  let reader: TransactionReader;
  let epochs: readonly ShardEpoch[];

  const STATUSES = {
    three: 'committed', threePending: 'pending', paxosNoted: 'committed', paxosAlone: 'aborted', paxosNotedLate: 'committed', twoPhase: 'committed',
    running: 'running', completing: 'running', compensating: 'compensating', completed: 'completed', compensated: 'compensated', stuck: 'needs-attention', stuckBack: 'needs-attention',
    stuckOnce: 'completed',
  } as const satisfies Record<string, TransactionStatus>;
  type Name = keyof typeof STATUSES;
  const NAMES = Object.keys(STATUSES) as Name[];
  const ids = Object.fromEntries(NAMES.map((name, i) => [name, newTxid(0, T0 + i * MINUTE)])) as Readonly<Record<Name, Txid>>;
  const nameOf = (txid: Txid): Name => NAMES.find((name) => ids[name] === txid)!;
  const REPORTS: readonly SagaStepReport[] = [{ state: 'done', result: { placed: 1 }, reason: null, attempts: 1 }, { state: 'sent', result: null, reason: null, attempts: 2 }];
  const STUCK = { step: 'debit', why: { code: 'RETRIES_EXHAUSTED' }, atMs: T0 };
  /** One second after the other, in the order of the names. */
  const at = (name: Name): number => T0 + 100 * MINUTE + NAMES.indexOf(name) * SECOND;

  beforeAll(async () => {
    pool = createPool(await freshDatabase('coordinator'), { max: 2, applicationName: 'reader-spec' });
    reader = new TransactionReader(pool);
    store = new PgCoordinatorStore(pool);
    epochs = await store.acquireShards([0], 'me');
    const sagas = NAMES.slice(NAMES.indexOf('running')).map((name) => beginSaga(ids[name]));
    const decided = (name: Name, decision: 'COMMIT' | 'ABORT') => ({ ...decide(ids[name], decision), branches: sagas.some((s) => s.spec.txid === ids[name]) ? REPORTS : [], atMs: at(name) });
    const ended = (name: Name, outcome: 'committed' | 'aborted' | 'completed' | 'compensated') => ({
      ...end(ids[name], outcome, outcome === 'aborted' || outcome === 'compensated' ? { code: 'OUT_OF_STOCK' } : null), branches: [], atMs: at(name) + MINUTE,
    });
    await store.flush(batch(epochs, {
      begins: [
        begin(ids.three, { protocol: '3pc' }), begin(ids.threePending, { protocol: '3pc' }), begin(ids.twoPhase),
        ...(['paxosNoted', 'paxosAlone', 'paxosNotedLate'] as const).map((name) => begin(ids[name], { protocol: 'paxos-commit' })), ...sagas,
      ],
      progress: [
        progress(ids.running, 'SENT', 'place', { step: 'place', inputs: {} }),
        ...(['stuck', 'stuckBack', 'stuckOnce'] as const).map((name) => progress(ids[name], 'ATTENTION', '', STUCK)),
      ],
      decisions: [
        decided('three', 'COMMIT'), decided('paxosNoted', 'COMMIT'), decided('twoPhase', 'COMMIT'), decided('completing', 'COMMIT'), decided('compensating', 'ABORT'), decided('completed', 'COMMIT'),
        decided('compensated', 'ABORT'), decided('stuckBack', 'ABORT'), decided('stuckOnce', 'COMMIT'),
      ],
    }));
    await store.flush(batch(epochs, {
      ends: [ended('three', 'committed'), ended('paxosAlone', 'aborted'), ended('paxosNotedLate', 'committed'), ended('completed', 'completed'), ended('compensated', 'compensated'), ended('stuckOnce', 'completed')],
    }));
    await store.flush(batch(epochs, { decisions: [decided('paxosNotedLate', 'COMMIT')] }));
  });

  afterAll(async () => pool?.end());

  const names = async (filter: TransactionFilter): Promise<Name[]> => (await reader.list({ limit: 1000, ...filter })).items.map((item) => nameOf(item.txid));

  it('lists under each status exactly what shows that status', async () => {
    const shown = await reader.read(Object.values(ids));
    expect(Object.fromEntries(NAMES.map((name) => [name, shown.get(ids[name])!.status]))).toEqual(STATUSES);
    for (const status of new Set(Object.values(STATUSES))) expect(await names({ status })).toEqual(NAMES.filter((name) => STATUSES[name] === status).toReversed());
    expect(await names({})).toEqual(NAMES.toReversed());
  });

  it('filters by protocol, participant and reason across protocols', async () => {
    expect(await names({ protocol: 'paxos-commit' })).toEqual(['paxosNotedLate', 'paxosAlone', 'paxosNoted']);
    expect(await names({ participant: 'payments', status: 'completed' })).toEqual(['stuckOnce', 'completed']);
    expect(await names({ reason: 'OUT_OF_STOCK' })).toEqual(['stuckBack', 'compensated', 'compensating', 'paxosAlone']);
    expect(await names({ reason: 'OUT_OF_STOCK', status: 'compensating' })).toEqual(['compensating']);
    expect(await names({ reason: 'OUT_OF_STOCK', status: 'completed' })).toEqual([]);
  });

  it('shows what a saga is about', async () => {
    const views = await reader.read([ids.running, ids.stuckBack, ids.completed]);
    expect(views.get(ids.running)!.branches).toMatchObject([{ state: 'sent', step: { id: 'place', kind: 'compensatable', after: [] } }, { state: 'waiting', step: { id: 'debit', after: ['place'] } }]);
    expect(views.get(ids.stuckBack)).toMatchObject({ status: 'needs-attention', decision: 'ABORT', attention: STUCK, branches: [{ state: 'done' }, { state: 'sent', attempts: 2 }] });
    expect(views.get(ids.completed)).toMatchObject({ decidedAtMs: at('completed'), finishedAtMs: at('completed') + MINUTE, attention: null });
  });

  it('tells each outcome once: of a saga at its end, of the others at the decision, or at the end if there was none', async () => {
    const events = await reader.decidedSince({ atMs: 0 }, 100);
    const ended = (name: Name): number => at(name) + MINUTE;
    expect(events.map((e) => [nameOf(e.txid), e.protocol, e.status, e.decidedAtMs])).toEqual([
      ['three', '3pc', 'committed', at('three')], ['paxosNoted', 'paxos-commit', 'committed', at('paxosNoted')], ['paxosNotedLate', 'paxos-commit', 'committed', at('paxosNotedLate')],
      ['twoPhase', '2pc', 'committed', at('twoPhase')], ['paxosAlone', 'paxos-commit', 'aborted', ended('paxosAlone')],
      ['completed', 'saga', 'completed', ended('completed')], ['compensated', 'saga', 'compensated', ended('compensated')], ['stuckOnce', 'saga', 'completed', ended('stuckOnce')],
    ]);
    expect(events.find((e) => nameOf(e.txid) === 'compensated')!.reason).toEqual({ code: 'OUT_OF_STOCK' });
    const { decidedAtMs: atMs, txid } = events[4]!;
    expect(await reader.decidedSince({ atMs, txid }, 2)).toEqual(events.slice(5, 7));
  });

  it('counts all of them', async () => {
    expect(await reader.counts(T0)).toEqual({
      sinceMs: T0, begun: NAMES.length, committed: 4, aborted: 1, completed: 2, compensated: 1, reasons: { OUT_OF_STOCK: 4 }, pending: 1, running: 2, compensating: 1, needsAttention: 2,
      unfinished: 8,
    });
    expect(await reader.counts(T0 + NAMES.indexOf('stuck') * MINUTE)).toMatchObject({ begun: 3, committed: 0, completed: 1, reasons: { OUT_OF_STOCK: 1 } });
  });
});
