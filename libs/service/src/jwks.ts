import { createRemoteJWKSet, errors, jwtVerify, type JWTPayload } from 'jose';
import { type Principal, type RoleName, rolesOf } from './principal.js';
import { ProblemException } from './problem.js';

const MAX_CACHED = 10_000;
/** A revoked token is recognized at the latest after this long. */
const MAX_CACHE_MS = 60_000;
/** Signatures by public keys only: with a shared secret, whoever knows the JWKS could sign. */
const ALGORITHMS = ['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512', 'ES256', 'ES384', 'ES512', 'EdDSA', 'Ed25519'];

interface Cached {
  readonly principal: Principal;
  readonly untilMs: number;
}

/**
 * Bearer JWTs signed by a key of the JWKS. Roles come from the claim `scope` (words separated by spaces) or `roles` (array):
 * `submit`, `read`, `operate`, each also as `concordat:submit` and so on. Other words are ignored. A token must expire (`exp`).
 */
export class JwksVerifier {
  private readonly keys: ReturnType<typeof createRemoteJWKSet>;
  private readonly cache = new Map<string, Cached>();

  constructor(private readonly options: { readonly url: string; readonly issuer?: string; readonly audience?: string }) {
    this.keys = createRemoteJWKSet(new URL(options.url), { timeoutDuration: 3_000, cooldownDuration: 5_000 });
  }

  /** @param digest of the token, for the cache */
  verify(token: string, digest: string): Principal | Promise<Principal | null> {
    const cached = this.cache.get(digest);
    if (cached !== undefined && cached.untilMs > Date.now()) return cached.principal;
    return this.verifySignature(token, digest);
  }

  private async verifySignature(token: string, digest: string): Promise<Principal | null> {
    const { issuer, audience } = this.options;
    try {
      const { payload } = await jwtVerify(token, this.keys, { algorithms: ALGORITHMS, requiredClaims: ['exp'], clockTolerance: 5, ...(issuer === undefined ? {} : { issuer }), ...(audience === undefined ? {} : { audience }) });
      const principal = { subject: payload.sub ?? 'unnamed', roles: rolesFrom(payload) };
      if (this.cache.size >= MAX_CACHED) this.cache.clear();
      this.cache.set(digest, { principal, untilMs: Math.min(payload.exp! * 1000, Date.now() + MAX_CACHE_MS) });
      return principal;
    } catch (error) {
      if (isRefusal(error)) return null;
      throw new ProblemException(503, 'AUTH_UNAVAILABLE', 'The key set that verifies tokens cannot be fetched now.', [], 5_000, { cause: error });
    }
  }
}

/** What is wrong with the token, against what is wrong with the way to the keys. */
function isRefusal(error: unknown): boolean {
  return error instanceof errors.JOSEError && !(error instanceof errors.JWKSTimeout) && !(error instanceof errors.JWKSInvalid) && error.code !== 'ERR_JOSE_GENERIC';
}

function rolesFrom(payload: JWTPayload): ReadonlySet<RoleName> {
  const scope = typeof payload['scope'] === 'string' ? payload['scope'].split(' ') : [];
  const roles = Array.isArray(payload['roles']) ? payload['roles'] : [];
  const names = [...scope, ...roles].map((name) => String(name).replace(/^concordat:/, ''));
  return rolesOf(names.filter((name): name is RoleName => name === 'submit' || name === 'read' || name === 'operate'));
}
