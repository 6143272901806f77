import { hash } from 'node:crypto';
import { isIPv4 } from 'node:net';
import path from 'node:path';
import type { Logger } from 'pino';
import { ConfigError } from './config-error.js';
import { envEnum, envText, envUrl, type Env } from './env.js';
import { JwksVerifier } from './jwks.js';
import { type Principal, rolesOf } from './principal.js';
import { loadOrCreateTokens, type Tokens } from './tokens.js';

export type AuthOptions =
  | { readonly mode: 'off' }
  | { readonly mode: 'tokens'; readonly tokens: Tokens }
  | { readonly mode: 'jwks'; readonly url: string; readonly issuer?: string; readonly audience?: string };

const MAX_TOKEN_LENGTH = 8192;

/**
 * CONCORDAT_AUTH=off (on loopback only), else CONCORDAT_JWKS_URL (with optional CONCORDAT_JWKS_ISSUER and
 * CONCORDAT_JWKS_AUDIENCE), else the tokens of CONCORDAT_TOKENS_FILE, which is made when it is missing.
 */
export function authOptionsFromEnv(env: Env, logger: Logger): AuthOptions {
  if (envEnum(env, 'CONCORDAT_AUTH', ['on', 'off'], 'on') === 'off') {
    const host = envText(env, 'HOST', { default: '127.0.0.1' });
    if (!isLoopback(host)) throw new ConfigError(`CONCORDAT_AUTH got "off" while HOST is "${host}"; it takes "off" only when HOST is a loopback address such as 127.0.0.1`);
    logger.warn('CONCORDAT_AUTH=off: every process of this machine may submit, read and operate');
    return { mode: 'off' };
  }
  if (env['CONCORDAT_JWKS_URL']) {
    const [issuer, audience] = [env['CONCORDAT_JWKS_ISSUER'], env['CONCORDAT_JWKS_AUDIENCE']];
    return { mode: 'jwks', url: envUrl(env, 'CONCORDAT_JWKS_URL', { schemes: ['https', 'http'] }), ...(issuer ? { issuer } : {}), ...(audience ? { audience } : {}) };
  }
  const file = tokensFile(env);
  const tokens = loadOrCreateTokens(file);
  logger.info({ file }, `API tokens are in ${file}`);
  return { mode: 'tokens', tokens };
}

/** CONCORDAT_TOKENS_FILE, default `tokens.json` in CONCORDAT_DATA_DIR, default `.concordat`. Absolute. */
export function tokensFile(env: Env): string {
  return path.resolve(envText(env, 'CONCORDAT_TOKENS_FILE', { default: path.join(envText(env, 'CONCORDAT_DATA_DIR', { default: '.concordat' }), 'tokens.json') }));
}

export function isLoopback(host: string): boolean {
  const address = host.replace(/^\[|\]$/g, '').replace(/^::ffff:/, '');
  return address === 'localhost' || address === '::1' || (isIPv4(address) && address.startsWith('127.'));
}

/** Recognizes callers by their `Authorization` header. */
export class Authenticator {
  /**
   * Keyed by the token's SHA-256: a look-up by digest takes no longer for a token that is nearly right, because nobody can
   * choose digests.
   */
  private readonly byDigest = new Map<string, Principal>();
  private readonly jwks: JwksVerifier | null;
  private readonly everyone: Principal | null;

  constructor(options: AuthOptions) {
    this.everyone = options.mode === 'off' ? { subject: 'anonymous', roles: rolesOf(['operate']) } : null;
    this.jwks = options.mode === 'jwks' ? new JwksVerifier(options) : null;
    if (options.mode === 'tokens') for (const role of ['submit', 'read', 'operate'] as const) this.byDigest.set(digestOf(options.tokens[role]), { subject: `token:${role}`, roles: rolesOf([role]) });
  }

  /** Null: no or a wrong token. Answers without a promise unless a JWT must be verified. */
  authenticate(authorization: string | undefined): Principal | null | Promise<Principal | null> {
    if (this.everyone !== null) return this.everyone;
    const token = bearerToken(authorization);
    if (token === null) return null;
    return this.jwks === null ? this.byDigest.get(digestOf(token)) ?? null : this.jwks.verify(token, digestOf(token));
  }
}

function digestOf(token: string): string {
  return hash('sha256', token, 'base64');
}

function bearerToken(authorization: string | undefined): string | null {
  if (authorization === undefined || authorization.length > MAX_TOKEN_LENGTH) return null;
  return authorization.slice(0, 7).toLowerCase() === 'bearer ' ? authorization.slice(7).trim() : null;
}
