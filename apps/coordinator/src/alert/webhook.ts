import type { Alert } from '#libs/postgres';
import { signedHeaders } from './signature.js';
import type { WebhookOptions } from './webhook-config.js';

/** How one delivery ended; `why` is for the log. `gone`: the receiver wants no more of this message. */
export type Delivery = { readonly kind: 'delivered' } | { readonly kind: 'failed' | 'gone'; readonly why: string };

const TIMEOUT_MS = 10_000;

/**
 * Posts one alert. Redirects are not followed: whoever can make the receiver answer one must not choose where signed messages go. The
 * answer's body is not read.
 */
export async function deliver({ url, secret }: WebhookOptions, alert: Alert, nowMs: number, stopping: AbortSignal): Promise<Delivery> {
  const body = JSON.stringify(messageOf(alert));
  try {
    const response = await fetch(url, {
      method: 'POST', body, redirect: 'manual',
      headers: { 'content-type': 'application/json', 'user-agent': 'concordat', ...signedHeaders(secret, `attention_${alert.txid}`, nowMs, body) },
      signal: AbortSignal.any([AbortSignal.timeout(TIMEOUT_MS), stopping]),
    });
    await response.body?.cancel();
    if (response.ok) return { kind: 'delivered' };
    const redirect = response.status >= 300 && response.status < 400;
    return { kind: response.status === 410 ? 'gone' : 'failed', why: `HTTP ${response.status}${redirect ? ', and redirects are not followed' : ''}` };
  } catch (error) {
    return { kind: 'failed', why: reasonOf(error) };
  }
}

/** Names what happened, and not where: the URL may be a secret. */
function reasonOf(error: unknown): string {
  const { name, cause } = error as Error & { readonly cause?: { readonly code?: string } };
  if (name === 'TimeoutError') return `no answer within ${TIMEOUT_MS} ms`;
  return cause?.code ?? name;
}

/** The body, in the form that the specification recommends: type, timestamp, data. */
function messageOf({ txid, protocol, data, createdAtMs }: Alert): Record<string, unknown> {
  const { step = null, why = null, atMs = createdAtMs } = data as { readonly step?: string; readonly why?: unknown; readonly atMs?: number };
  return {
    type: 'transaction.needs-attention',
    timestamp: new Date(atMs).toISOString(),
    data: { id: txid, protocol, step, reason: why, path: `/v1/transactions/${txid}` },
  };
}
