import { createHmac } from 'node:crypto';

/**
 * The headers of a webhook by the Standard Webhooks specification (standardwebhooks.com, "Signature scheme"): HMAC-SHA256 over
 * `<id>.<timestamp>.<body>`, so that neither the body nor its time can be changed, and an old delivery is not taken for a new one.
 */
export function signedHeaders(secret: Buffer, id: string, timestampMs: number, body: string): Record<'webhook-id' | 'webhook-timestamp' | 'webhook-signature', string> {
  const timestamp = String(Math.floor(timestampMs / 1000));
  const signature = createHmac('sha256', secret).update(`${id}.${timestamp}.${body}`).digest('base64');
  return { 'webhook-id': id, 'webhook-timestamp': timestamp, 'webhook-signature': `v1,${signature}` };
}
