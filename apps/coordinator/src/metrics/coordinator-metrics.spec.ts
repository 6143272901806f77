import { beforeEach, describe, expect, it } from '@jest/globals';
import type { OpenTransactions } from '#libs/postgres';
import { Registry } from '#libs/service';
import { transactionView } from '../testing/transaction-view.js';
import { CoordinatorMetrics } from './coordinator-metrics.js';
import { OpenCounts } from './open-counts.js';

let registry: Registry;
let metrics: CoordinatorMetrics;

beforeEach(() => {
  registry = new Registry();
  metrics = new CoordinatorMetrics(registry);
});

const lines = async (name: string): Promise<string[]> => (await registry.metrics()).split('\n').filter((line) => line.startsWith(name));

describe('metrics', () => {
  it('count by protocol and outcome; of a saga the outcome that its decision leads to', async () => {
    metrics.transactionBegun('saga');
    metrics.transactionDecided(transactionView({ protocol: 'saga', status: 'running', decision: 'COMMIT', decidedAtMs: 1 }));
    metrics.transactionDecided(transactionView({ protocol: 'saga', status: 'compensating', decision: 'ABORT', reason: { code: 'STEP_TIMEOUT' }, decidedAtMs: 1 }));
    metrics.transactionDecided(transactionView({ protocol: '3pc', status: 'aborted', decision: 'ABORT', reason: { code: 'CANCELLED' } }));
    metrics.transactionDecided(transactionView({ protocol: 'paxos-commit', status: 'committed', decision: 'COMMIT' }));
    metrics.needsAttention(transactionView({ protocol: 'saga', status: 'needs-attention' }));
    expect(await lines('concordat_transactions_total')).toEqual([
      'concordat_transactions_total{protocol="saga",outcome="completed",reason=""} 1',
      'concordat_transactions_total{protocol="saga",outcome="compensated",reason="STEP_TIMEOUT"} 1',
      'concordat_transactions_total{protocol="3pc",outcome="aborted",reason="CANCELLED"} 1',
      'concordat_transactions_total{protocol="paxos-commit",outcome="committed",reason=""} 1',
    ]);
    expect(await lines('concordat_needs_attention_total')).toEqual(['concordat_needs_attention_total{protocol="saga"} 1']);
    expect(metrics.counts.json()).toMatchObject({ '2pc': { begun: 0, committed: 0, aborted: 0 }, '3pc': { aborted: 1 }, saga: { begun: 1, completed: 1, compensated: 1, needsAttention: 1 } });
  });

  it('show what is open, in doubt and in need of a person, reading the database once', async () => {
    let reads = 0;
    const saga: OpenTransactions = { protocol: 'saga', unfinished: 5, undecided: 3, overdue: 1, needAttention: 2, oldestUndecidedMs: 1_500 };
    metrics.observeOpen(new OpenCounts(async () => { reads++; return [saga]; }, () => undefined));
    const open = await lines('concordat_open_transactions{protocol="saga"');
    expect(open.map((line) => line.replace(/.*state=/, ''))).toEqual(['"undecided"} 3', '"in-doubt"} 1', '"delivering"} 2', '"needs-attention"} 2']);
    expect(await lines('concordat_oldest_undecided_seconds{protocol="saga"')).toEqual(['concordat_oldest_undecided_seconds{protocol="saga"} 1.5']);
    expect(await lines('concordat_oldest_undecided_seconds{protocol="2pc"')).toEqual(['concordat_oldest_undecided_seconds{protocol="2pc"} 0']);
    expect(reads).toBe(1);
  });

  it('go on being served while the database does not tell what is open', async () => {
    const errors: unknown[] = [];
    metrics.observeOpen(new OpenCounts(async () => { throw new Error('away'); }, (error) => errors.push(error)));
    expect(await lines('concordat_open_transactions{protocol="2pc",state="undecided"')).toEqual(['concordat_open_transactions{protocol="2pc",state="undecided"} Nan']);
    expect(errors).toHaveLength(1);
  });
});
