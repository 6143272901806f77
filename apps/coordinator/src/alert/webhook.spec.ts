import { createHmac } from 'node:crypto';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, describe, expect, it } from '@jest/globals';
import { makeTxid } from '#libs/protocol';
import type { Alert } from '#libs/postgres';
import { ConfigError } from '#libs/service';
import { signedHeaders } from './signature.js';
import { type Delivery, deliver } from './webhook.js';
import { webhookFromEnv } from './webhook-config.js';

const txid = makeTxid(0, 1_700_000_000_000, new Uint8Array(8));
const alert: Alert = {
  txid, protocol: 'saga', createdAtMs: 1, ageMs: 5, attempts: 1,
  data: { step: 'debit', why: { code: 'RETRIES_EXHAUSTED', participant: 'payments', detail: 'no answer' }, atMs: 1_700_000_000_123 },
};
const secret = Buffer.from('a secret of some length');

interface Seen { readonly headers: http.IncomingHttpHeaders; readonly body: string; readonly path: string }
const servers: http.Server[] = [];
afterEach(() => { for (const server of servers.splice(0)) { server.close(); server.closeAllConnections(); } });

async function receiver(answer: (response: http.ServerResponse) => void): Promise<{ url: string; seen: Seen[] }> {
  const seen: Seen[] = [];
  const server = http.createServer((request, response) => {
    let body = '';
    request.on('data', (chunk: Buffer) => { body += chunk.toString(); });
    request.on('end', () => { seen.push({ headers: request.headers, body, path: request.url! }); answer(response); });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  servers.push(server);
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/hook`, seen };
}

const post = (url: string, stopping = new AbortController().signal): Promise<Delivery> => deliver({ url, secret }, alert, 1_700_000_001_999, stopping);

describe('the signature', () => {
  it.each([
    ['plJ3nmyCDGBKInavdOK15jsl', 'msg_loFOjxBNrRLzqYUf', 1_731_705_121, '{"event_type":"ping","data":{"success":true}}', 'v1,rAvfW3dJ/X/qxhsaXPOyyCGmRKsaKWcsNccKXlIktD0='],
    ['MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw', 'msg_p5jXN8AQM9LWM0D4loKWxJek', 1_614_265_330, '{"test": 2432232314}', 'v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE='],
  ])('is that of the Standard Webhooks specification (its own examples)', (key, id, seconds, body, signature) => {
    expect(signedHeaders(Buffer.from(key, 'base64'), id, seconds * 1000 + 999, body)).toEqual({ 'webhook-id': id, 'webhook-timestamp': String(seconds), 'webhook-signature': signature });
  });
});

describe('a delivery', () => {
  it('tells what needs a person, signed so that the receiver can verify it', async () => {
    const { url, seen } = await receiver((response) => { response.writeHead(204).end(); });
    expect(await post(url)).toEqual({ kind: 'delivered' });
    const { headers, body } = seen[0]!;
    expect(JSON.parse(body)).toEqual({
      type: 'transaction.needs-attention', timestamp: '2023-11-14T22:13:20.123Z',
      data: { id: txid, protocol: 'saga', step: 'debit', reason: { code: 'RETRIES_EXHAUSTED', participant: 'payments', detail: 'no answer' }, path: `/v1/transactions/${txid}` },
    });
    expect(headers).toMatchObject({ 'webhook-id': `attention_${txid}`, 'webhook-timestamp': '1700000001', 'content-type': 'application/json' });
    const expected = createHmac('sha256', secret).update(`attention_${txid}.1700000001.${body}`).digest('base64');
    expect(headers['webhook-signature']).toBe(`v1,${expected}`);
  });

  it.each([[500, 'failed'], [429, 'failed'], [404, 'failed'], [410, 'gone']])('that is answered %d is %s', async (status, kind) => {
    const { url } = await receiver((response) => { response.writeHead(status).end('no'); });
    expect(await post(url)).toEqual({ kind, why: `HTTP ${status}` });
  });

  it('follows no redirect', async () => {
    const elsewhere = await receiver((response) => { response.writeHead(200).end(); });
    const { url } = await receiver((response) => { response.writeHead(307, { location: elsewhere.url }).end(); });
    expect(await post(url)).toEqual({ kind: 'failed', why: 'HTTP 307, and redirects are not followed' });
    expect(elsewhere.seen).toEqual([]);
  });

  it('that meets nobody fails without naming the URL', async () => {
    const delivery = await post('http://127.0.0.1:9/very-secret-path');
    expect(delivery.kind).toBe('failed');
    expect(JSON.stringify(delivery)).not.toContain('secret');
  });

  it('that is under way when the instance stops ends at once', async () => {
    const { url } = await receiver(() => undefined);
    const stopping = new AbortController();
    const delivery = post(url, stopping.signal);
    stopping.abort();
    expect((await delivery).kind).toBe('failed');
  });
});

describe('the webhook in the environment', () => {
  const URL = 'https://example.com/hook?token=swordfish';
  const message = (env: Record<string, string>): string => {
    try {
      webhookFromEnv(env);
    } catch (error) {
      expect(error).toBeInstanceOf(ConfigError);
      return (error as Error).message;
    }
    throw new Error('was taken');
  };

  it('may be absent', () => {
    expect([webhookFromEnv({}), webhookFromEnv({ WEBHOOK_URL: '', WEBHOOK_SECRET: ' ' })]).toEqual([null, null]);
  });

  it('has a secret as the specification writes it, or any text that is long enough', () => {
    const key = Buffer.alloc(32, 7);
    expect(webhookFromEnv({ WEBHOOK_URL: URL, WEBHOOK_SECRET: `whsec_${key.toString('base64')}` })).toEqual({ url: URL, secret: key });
    expect(webhookFromEnv({ WEBHOOK_URL: URL, WEBHOOK_SECRET: 'correct horse battery staple' })?.secret.toString()).toBe('correct horse battery staple');
  });

  it.each<[string, Record<string, string>, RegExp]>([
    ['a URL without a secret', { WEBHOOK_URL: URL }, /^WEBHOOK_SECRET is not set/],
    ['a secret without a URL', { WEBHOOK_SECRET: 'correct horse battery staple' }, /^WEBHOOK_URL is not set/],
    ['a short secret', { WEBHOOK_URL: URL, WEBHOOK_SECRET: 'swordfish' }, /^WEBHOOK_SECRET got a value that is not shown/],
    ['a secret that is no base64', { WEBHOOK_URL: URL, WEBHOOK_SECRET: 'whsec_swordfish!swordfish!swordfish!' }, /^WEBHOOK_SECRET got/],
    ['a short key', { WEBHOOK_URL: URL, WEBHOOK_SECRET: `whsec_${Buffer.alloc(23).toString('base64')}` }, /^WEBHOOK_SECRET got/],
    ['another scheme', { WEBHOOK_URL: 'file:///etc/swordfish', WEBHOOK_SECRET: 'correct horse battery staple' }, /^WEBHOOK_URL got a value that is not shown; it takes a URL with https/],
    ['a URL with a password', { WEBHOOK_URL: 'https://me:swordfish@example.com/', WEBHOOK_SECRET: 'correct horse battery staple' }, /^WEBHOOK_URL got a value that is not shown/],
  ])('with %s is refused in one line that shows no secret', (_what, env, text) => {
    expect(message(env)).toMatch(text);
    expect(message(env)).not.toMatch(/\n|swordfish|battery/);
  });
});
