// What overload, soak and slow-participant have in common: servers, one or two processes of each kind, requests that succeed.
import type { ProtocolName } from '../../libs/protocol/src/messages.ts';
import { checkoutRequest } from '../../libs/shop/src/checkout-request.ts';
import { Random } from '../../libs/simulator/src/world/random.ts';
import { withProgress } from '../stack/progress.ts';
import { ChaosCluster, type ClusterOptions } from './cluster.ts';
import { HttpLoad } from './http-load.ts';
import { sampleMemory } from './memory.ts';
import type { MemorySample } from './memory.ts';
import type { ProcessName } from './schedule.ts';
import type { UnaskedEnd } from '../start/service-process.ts';
import type { Setting } from './setting.ts';

/** One process of each kind. */
export const FIRST_OF_EACH: readonly ProcessName[] = ['coordinator-1', 'orders-1', 'payments-1', 'inventory-1'];

export interface SmallCluster {
  readonly cluster: ChaosCluster;
  readonly load: HttpLoad;
  readonly unaskedEnds: readonly UnaskedEnd[];
  /** Of all processes and Kafka. */
  sample(atMs: number): MemorySample;
}

export async function startSmallCluster({ dataDir, log, undo }: Setting, options: Pick<ClusterOptions, 'processes' | 'proxied' | 'env'>): Promise<SmallCluster> {
  const unaskedEnds: UnaskedEnd[] = [];
  const cluster = await withProgress(`starting PostgreSQL, Kafka and ${options.processes.length} processes`, log, () => ChaosCluster.start({
    dataDir, log, ...options,
    onUnaskedEnd: (end) => {
      unaskedEnds.push(end);
      log(`${end.process} ended by itself (${end.how}):\n${end.lastLines.map((line) => `    ${line}`).join('\n')}`);
    },
  }, undo));
  const load = new HttpLoad(cluster.coordinatorUrls, cluster.tokens.submit);
  undo.push(() => load.close());
  return {
    cluster, load, unaskedEnds,
    sample: (atMs) => sampleMemory(atMs, new Map<string, number | null>([...[...cluster.processes].map(([name, process]) => [name, process.pid] as const), ['kafka', cluster.kafka.pid]])),
  };
}

/** Checkouts over all customers and SKUs, by the protocols in their shares. */
export function checkouts(seed: number, protocols: ReadonlyMap<ProtocolName, number>): () => ReturnType<typeof checkoutRequest> {
  const random = new Random(seed);
  const run = `y${Date.now().toString(36)}`;
  const total = [...protocols.values()].reduce((sum, weight) => sum + weight, 0);
  let n = 0;
  return () => {
    let left = random.next() * total;
    const protocol = [...protocols].find(([, weight]) => (left -= weight) < 0)?.[0] ?? [...protocols.keys()].at(-1)!;
    return checkoutRequest(protocol, { orderId: `${run}-${n++}`, customerId: `c-${random.int(1, 10_000)}`, sku: `s-${random.int(1, 10_000)}`, quantity: 1, amountCents: 1 });
  };
}
