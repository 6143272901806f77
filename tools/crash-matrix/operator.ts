import type { Cluster } from '../../test/support/cluster.ts';

/** What an operator wants of some transactions, told to every coordinator that runs: only the owner obeys, and any may be away for a moment. */
export async function act(cluster: Cluster, txids: readonly string[], body: { readonly action: string; readonly step?: string; readonly comment: string }): Promise<void> {
  const urls = cluster.coordinators.filter(({ alive }) => alive).map(({ url }) => url);
  await Promise.allSettled(txids.flatMap((txid) => urls.map((url) => cluster.call('POST', `/v1/transactions/${txid}/actions`, { url, body }))));
}
