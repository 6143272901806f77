// When everything is healed, everything must work again: through every coordinator, by every protocol.
import { setTimeout as sleep } from 'node:timers/promises';
import { ConcordatClient, type TransactionRequest } from '#libs/client';
import type { ProtocolName } from '../../libs/protocol/src/messages.ts';
import { checkoutRequest } from '../../libs/shop/src/checkout-request.ts';
import type { ChaosCluster } from './cluster.ts';
import type { Violation } from './report.ts';

const LIMIT_MS = 60_000;

/** A checkout by each of the protocols through each coordinator; those that do not commit within a minute. */
export async function probe(cluster: ChaosCluster, wanted: ReadonlyMap<ProtocolName, number>, protocols: readonly ProtocolName[], signal: AbortSignal): Promise<Violation[]> {
  const violations: Violation[] = [];
  const run = `probe${Date.now().toString(36)}`;
  await Promise.all(cluster.coordinatorUrls.flatMap((url, c) => protocols.filter((protocol) => wanted.has(protocol)).map(async (protocol) => {
    const client = new ConcordatClient({ url, token: cluster.tokens.submit, gather: false });
    let last = '';
    try {
      for (const [deadline, n] = [Date.now() + LIMIT_MS, { value: 0 }]; Date.now() < deadline && !signal.aborted; await sleep(500)) {
        const checkout = { orderId: `${run}-${c}-${protocol}-${n.value++}`, customerId: `c-${9000 + c}`, sku: `s-${9000 + c}`, quantity: 1, amountCents: 1 };
        try {
          const result = await client.run(checkoutRequest(protocol, checkout) as TransactionRequest, { waitMs: 10_000 });
          if ((result.outcome as string) === 'committed' || (result.outcome as string) === 'completed') return;
          last = `${result.outcome} ${result.outcome === 'unknown' ? result.cause.message : result.reason?.code}`;
        } catch (error) {
          last = (error as Error).message;
        }
      }
      violations.push({ check: 'healed, everything works again', txid: null, what: `${protocol} through coordinator-${c + 1} did not commit within ${LIMIT_MS / 1000} s: ${last}` });
    } finally {
      await client.close();
    }
  })));
  return violations;
}
