import type { Cluster } from '../../test/support/cluster.ts';
import { act } from './operator.ts';
import { becomes, countIn } from './quiet.ts';
import { PATIENCE_MS, RESOLVED_MS, type Stage } from './stage.ts';
import type { Ask } from './traffic.ts';

/** New rows are checked, old ones are not. */
const FORBID_DEBITS = 'ALTER TABLE ledger_entry ADD CONSTRAINT broken CHECK (amount_cents < 0) NOT VALID';
const ALLOW_DEBITS = 'ALTER TABLE ledger_entry DROP CONSTRAINT broken';
const FORBID_CONFIRMING = `ALTER TABLE orders ADD CONSTRAINT broken CHECK (status <> 'confirmed') NOT VALID`;
const ALLOW_CONFIRMING = 'ALTER TABLE orders DROP CONSTRAINT broken';

/** The last step of a checkout. */
const CONFIRM = 'confirm';
/** Sagas that have been decided and call for a person, and their orders. */
const WAITING = `
  SELECT b.txid, b.branches #>> '{0,payload,orderId}' AS order_id FROM tx_begin b JOIN tx_progress p USING (txid) JOIN tx_decision d USING (txid)
   WHERE p.kind = 'ATTENTION' AND d.decision = 'COMMIT'`;
/** For a coordinator to be started again and to find its sagas. */
const ACTED_MS = 20_000;

/** The pivot fails until its attempts are used up: it is cancelled before it has executed, and what came before is undone. */
export async function failingPivot({ cluster, traffic }: Stage, asks: readonly Ask[]): Promise<void> {
  const before = await countIn(cluster, 'payments', 'cancelled');
  await cluster.pools.payments.query(FORBID_DEBITS);
  try {
    traffic.ask(asks);
    await becomes(async () => (await countIn(cluster, 'payments', 'cancelled')) >= before + asks.length, PATIENCE_MS);
  } finally {
    await cluster.pools.payments.query(ALLOW_DEBITS);
  }
}

/**
 * Orders cannot be confirmed until somebody does it by hand. From then on the step finds nothing pending and would fail for ever: the
 * operator tells the coordinator to skip it.
 */
export async function confirmedByHand({ cluster, traffic }: Stage, asks: readonly Ask[]): Promise<void> {
  await cluster.pools.orders.query(FORBID_CONFIRMING);
  let waiting: readonly Waiting[] = [];
  try {
    traffic.ask(asks);
    await becomes(async () => (waiting = await sagasWaiting(cluster)).length >= asks.length, RESOLVED_MS);
  } finally {
    // In one transaction, as all statements of one query are: nobody else can confirm them in between.
    await cluster.pools.orders.query(`${ALLOW_CONFIRMING}; UPDATE orders SET status = 'confirmed' WHERE status = 'pending' AND id = ANY ('{${waiting.map(({ orderId }) => orderId).join(',')}}')`);
  }
  await skip(cluster, waiting.map(({ txid }) => txid));
}

interface Waiting {
  readonly txid: string;
  readonly orderId: string;
}

async function sagasWaiting(cluster: Cluster): Promise<readonly Waiting[]> {
  const { rows } = await cluster.pools.coordinator.query<{ txid: string; order_id: string }>(WAITING);
  return rows.map(({ txid, order_id: orderId }) => ({ txid, orderId }));
}

/** An operator does not give up when a coordinator is away for a moment, or another one has taken over. */
async function skip(cluster: Cluster, txids: readonly string[]): Promise<void> {
  const body = { action: 'skip-step', step: CONFIRM, comment: 'confirmed by hand' };
  await becomes(async () => {
    const open = (await sagasWaiting(cluster)).map(({ txid }) => txid).filter((txid) => txids.includes(txid));
    await act(cluster, open, body);
    return open.length === 0;
  }, ACTED_MS);
}
