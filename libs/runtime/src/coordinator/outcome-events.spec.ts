import type { TransactionOutcome, Txid } from '#libs/protocol';
import { begun, Bench, checkout, sagaCheckout } from '../testing/coordinator-bench.js';
import { type Participant, refusing, willing } from '../testing/fake-bus.js';
import { turns, until } from '../testing/fake-clock.js';
import type { BeginRequest } from './types.js';

const readOnly: Participant = (message) => (
  message.kind === 'PREPARE' ? [{ kind: 'VOTE', txid: message.txid, branch: message.branch, vote: 'read-only' }] : willing(message)
);
const onePhaseRefusal: Participant = ({ txid, branch }) => [{ kind: 'ONE_PHASE_OUTCOME', txid, branch, outcome: 'aborted', reason: { code: 'OUT_OF_STOCK' } }];

interface Case {
  readonly name: string;
  readonly request: BeginRequest;
  readonly status: TransactionOutcome;
  /** What is other than willing. */
  readonly arrange?: (bench: Bench) => void;
}

const alone = checkout({ branches: [{ participant: 'orders', operation: 'work', payload: null }] });
const refuse = ({ bus }: Bench): void => {
  bus.participant('payments', refusing);
  bus.site('payments').vote = 'no';
  bus.site('payments').execute = { said: 'no', reason: { code: 'OUT_OF_MONEY' } };
};

const CASES: readonly Case[] = [
  { name: 'a commit of 2pc', request: checkout(), status: 'committed' },
  { name: 'an abort of 2pc', request: checkout(), status: 'aborted', arrange: refuse },
  { name: 'a one-phase commit', request: alone, status: 'committed' },
  { name: 'a one-phase abort', request: alone, status: 'aborted', arrange: ({ bus }) => bus.participant('orders', onePhaseRefusal) },
  {
    name: 'a transaction that only reads', request: checkout(), status: 'committed',
    arrange: ({ bus }) => {
      for (const name of ['orders', 'payments', 'inventory']) bus.participant(name, readOnly);
    },
  },
  { name: 'a commit of 3pc', request: checkout({ protocol: '3pc' }), status: 'committed' },
  { name: 'an abort of 3pc', request: checkout({ protocol: '3pc' }), status: 'aborted', arrange: refuse },
  { name: 'a commit of paxos-commit', request: checkout({ protocol: 'paxos-commit' }), status: 'committed' },
  { name: 'an abort of paxos-commit', request: checkout({ protocol: 'paxos-commit' }), status: 'aborted', arrange: refuse },
  { name: 'a saga that completes', request: sagaCheckout(), status: 'completed' },
  { name: 'a saga that is compensated', request: sagaCheckout(), status: 'compensated', arrange: refuse },
];

describe('the outcome event', () => {
  let bench: Bench;
  /** What was durable when an event was handed to the broker, whether or not that took it. */
  let handed: { readonly isDecided: boolean; readonly isEnded: boolean }[];

  beforeEach(() => {
    bench = new Bench();
    handed = [];
    const send = bench.bus.send.bind(bench.bus);
    bench.bus.send = (envelopes, outcomes) => {
      for (const { txid } of outcomes ?? []) handed.push({ isDecided: bench.store.register.has(txid), isEnded: bench.store.ends.has(txid) });
      return send(envelopes, outcomes);
    };
  });
  afterEach(() => bench.close());

  const begin = async ({ request, arrange }: Case) => {
    arrange?.(bench);
    const driver = await bench.owner([0], { lingerMs: 600_000 });
    const result = await driver.begin(request);
    return { driver, txid: result.txid };
  };
  const settle = async (): Promise<void> => {
    await turns(150);
    await bench.clock.advance(5_000);
  };
  /** A new owner, with everything in reach, ends it and tells its outcome. */
  const expectTold = async (txid: Txid, status: TransactionOutcome): Promise<void> => {
    const successor = await bench.owner([0], { lingerMs: 600_000 });
    await settle();
    expect(bench.bus.outcomes).toMatchObject([{ txid, status }]);
    expect(bench.store.ends.get(txid)).toMatchObject({ outcome: status });
    expect(successor.stats()).toMatchObject({ recovered: 1, inFlight: 0 });
  };

  describe.each(CASES)('of $name', (one) => {
    it('leaves once, before END is written, and not before the decision is durable', async () => {
      const { txid } = await begin(one);
      await settle();
      expect(bench.bus.outcomes).toMatchObject([{ txid, status: one.status, protocol: one.request.protocol }]);
      expect(handed).toMatchObject([{ isEnded: false }]);
      // Of paxos-commit the acceptors make the decision durable.
      if (one.request.protocol !== 'paxos-commit') expect(handed).toMatchObject([{ isDecided: true }]);
      expect(bench.store.ends.get(txid)).toMatchObject({ outcome: one.status });
      expect(bench.journal.errors).toEqual([]);
    });

    it('holds nothing up but END while the broker does not take it, and is published by the next owner if this one dies', async () => {
      bench.bus.refusesOutcomes = true;
      const { driver, txid } = await begin(one);
      await settle();
      expect(handed.length).toBeGreaterThan(0);
      expect(driver.view(txid)).toMatchObject({ decision: one.status === 'committed' || one.status === 'completed' ? 'COMMIT' : 'ABORT', finishedAtMs: null });
      expect(driver.stats()).toMatchObject({ inFlight: 1, undecided: 0 });
      expect(bench.store.ends.has(txid)).toBe(false);
      bench.kill(driver);
      bench.bus.refusesOutcomes = false;
      await expectTold(txid, one.status);
    });

    it('is published by this owner when the broker takes it at last', async () => {
      bench.bus.refusesOutcomes = true;
      const { driver, txid } = await begin(one);
      await settle();
      bench.bus.refusesOutcomes = false;
      await settle();
      expect(bench.bus.outcomes).toMatchObject([{ txid, status: one.status }]);
      expect(bench.store.ends.get(txid)).toMatchObject({ outcome: one.status });
      expect(driver.stats().inFlight).toBe(0);
    });

    it('is published by the next owner if this one dies right after the decision', async () => {
      const { driver, txid } = await begin(one);
      await until(() => driver.view(txid)?.decision !== null);
      bench.kill(driver);
      await turns();
      await expectTold(txid, one.status);
    });

    it('is published by the next owner if the broker is away from the decision on, and this one dies then', async () => {
      const { driver, txid } = await begin(one);
      await until(() => driver.view(txid)?.decision !== null);
      bench.bus.down();
      await settle();
      expect(bench.store.ends.has(txid)).toBe(false);
      bench.kill(driver);
      bench.bus.up();
      await expectTold(txid, one.status);
    });

    it('comes again if this owner dies between the event and END', async () => {
      const { driver, txid } = await begin(one);
      const { flush } = bench.store;
      bench.store.flush = (batch) => (batch.ends.length > 0 ? new Promise(() => {}) : flush.call(bench.store, batch));
      await settle();
      expect(bench.bus.outcomes).toMatchObject([{ txid, status: one.status }]);
      bench.kill(driver);
      bench.store.flush = flush;
      await bench.owner([0]);
      await settle();
      expect(bench.bus.outcomes).toMatchObject([{ txid, status: one.status }, { txid, status: one.status }]);
      expect(bench.store.ends.get(txid)).toMatchObject({ outcome: one.status });
    });
  });

  it.each(CASES.filter(({ request }) => request === alone || request.protocol === 'saga'))('of $name does not wait for company if somebody waits for the end', async (one) => {
    one.arrange?.(bench);
    const driver = await bench.owner([0]);
    const { txid } = await driver.begin({ ...one.request, waitFor: 'finished' });
    // The clock stands still.
    expect(await driver.settled(txid, 'finished', 1_000)).toMatchObject({ status: one.status, finishedAtMs: expect.any(Number) });
  });

  it('travels with the COMMITs, and costs END no flush of its own', async () => {
    const sends: { readonly messages: number; readonly outcomes: number }[] = [];
    const send = bench.bus.send.bind(bench.bus);
    bench.bus.send = (envelopes, outcomes) => {
      sends.push({ messages: envelopes.length, outcomes: outcomes?.length ?? 0 });
      return send(envelopes, outcomes);
    };
    const driver = await bench.owner([0]);
    const txids = await Promise.all([begun(driver), begun(driver)]);
    await settle();
    expect(sends).toEqual([{ messages: 6, outcomes: 0 }, { messages: 6, outcomes: 2 }]);
    expect(bench.journal.flushStats).toMatchObject([{ begins: 2 }, { decisions: 2 }, { ends: 2 }]);
    expect([...bench.store.ends.keys()].sort()).toEqual([...txids].sort());
  });

  it('does not keep an operator waiting who ends what is outstanding, for longer than a fault may last', async () => {
    bench.bus.participant('payments', (message) => (message.kind === 'COMMIT' ? [] : willing(message)));
    bench.bus.refusesOutcomes = true;
    const driver = await bench.owner([0], { storeFaultGraceMs: 3_000 });
    const txid = await begun(driver);
    await driver.settled(txid, 'decided', 1_000);
    const acted = driver.act(txid, { kind: 'RESOLVE', reason: { code: 'RESOLVED' } });
    await bench.clock.advance(3_000);
    expect(await acted).toMatchObject({ status: 'committed', finishedAtMs: null });
    bench.bus.refusesOutcomes = false;
    await settle();
    expect(bench.store.ends.get(txid)).toMatchObject({ outcome: 'committed' });
  });

  it('and the ENDs that wait for it are written on an orderly stop', async () => {
    const driver = await bench.owner([0], { lazyMs: 1_000 });
    const { txid } = await driver.begin(alone);
    await driver.settled(txid, 'decided', 1_000);
    expect(bench.bus.outcomes).toEqual([]);
    await driver.stop();
    expect(bench.bus.outcomes).toMatchObject([{ txid }]);
    expect(bench.store.ends.get(txid)).toMatchObject({ outcome: 'committed' });
  });
});
