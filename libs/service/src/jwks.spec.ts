import http from 'node:http';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { exportJWK, generateKeyPair, type JWK, SignJWT } from 'jose';
import { Authenticator } from './authenticator.js';

type KeyPair = Awaited<ReturnType<typeof generateKeyPair>>;
let trusted: KeyPair;
let foreign: KeyPair;
let jwk: JWK;
let server: http.Server | null = null;

beforeAll(async () => {
  trusted = await generateKeyPair('ES256');
  foreign = await generateKeyPair('ES256');
  jwk = { ...(await exportJWK(trusted.publicKey)), kid: 'k1', alg: 'ES256' };
});
afterEach(() => {
  server?.closeAllConnections();
  server?.close();
});

async function authenticator(status = 200): Promise<Authenticator> {
  server = http.createServer((_request, response) => { response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify({ keys: [jwk] })); }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  return new Authenticator({ mode: 'jwks', url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/keys`, issuer: 'https://id.example', audience: 'concordat' });
}

function token(claims: Record<string, unknown>, options: { key?: KeyPair; expires?: string | null; issuer?: string } = {}): Promise<string> {
  const jwt = new SignJWT(claims).setProtectedHeader({ alg: 'ES256', kid: 'k1' }).setSubject('anna').setIssuer(options.issuer ?? 'https://id.example').setAudience('concordat');
  if (options.expires !== null) jwt.setExpirationTime(options.expires ?? '1h');
  return jwt.sign((options.key ?? trusted).privateKey);
}

describe('JWTs', () => {
  it('give the roles of their scope or roles claim, and others nothing', async () => {
    const known = await authenticator();
    expect(await known.authenticate(`Bearer ${await token({ scope: 'openid concordat:submit read' })}`)).toEqual({ subject: 'anna', roles: new Set(['submit', 'read']) });
    expect(await known.authenticate(`Bearer ${await token({ roles: ['operate', 'admin'] })}`)).toEqual({ subject: 'anna', roles: new Set(['submit', 'read', 'operate']) });
    expect(await known.authenticate(`Bearer ${await token({})}`)).toEqual({ subject: 'anna', roles: new Set() });
  });

  it('are refused with a foreign signature, another issuer, when expired, and without an expiry', async () => {
    const known = await authenticator();
    const scope = { scope: 'operate' };
    const bad = [await token(scope, { key: foreign }), await token(scope, { issuer: 'https://evil.example' }), await token(scope, { expires: '-1h' }), await token(scope, { expires: null }), 'a.b.c', 'nonsense'];
    for (const jwt of bad) expect(await known.authenticate(`Bearer ${jwt}`)).toBeNull();
  });

  it('signed by nobody or by a shared secret are refused', async () => {
    const known = await authenticator();
    const part = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url');
    const claims = { sub: 'eve', iss: 'https://id.example', aud: 'concordat', exp: 4_000_000_000, scope: 'operate' };
    expect(await known.authenticate(`Bearer ${part({ alg: 'none' })}.${part(claims)}.`)).toBeNull();
    const shared = await new SignJWT({ scope: 'operate' }).setProtectedHeader({ alg: 'HS256', kid: 'k1' }).setIssuer(claims.iss).setAudience(claims.aud).setExpirationTime('1h').sign(Buffer.from(JSON.stringify(jwk)));
    expect(await known.authenticate(`Bearer ${shared}`)).toBeNull();
  });

  it('are answered with 503 while the key set is out of reach', async () => {
    const known = await authenticator(500);
    await expect(Promise.resolve(known.authenticate(`Bearer ${await token({ scope: 'read' })}`))).rejects.toMatchObject({ status: 503, code: 'AUTH_UNAVAILABLE' });
  });
});
