import { authOptionsFromEnv, type AuthOptions, ConfigError, type Env, envPort, envText, envUrl, isLoopback, type Logger } from '#libs/service';

export interface StorefrontConfig {
  readonly host: string;
  readonly port: number;
  readonly coordinatorUrl: string;
  readonly services: Readonly<Record<'orders' | 'payments' | 'inventory', string>>;
  /** What the shop's own customers must show. */
  readonly auth: AuthOptions | 'public';
  /** What the storefront shows to the coordinator and the services; null when authentication is off. */
  readonly submitToken: string | null;
  readonly readToken: string | null;
}

/**
 * A shop window is open to whoever stands in front of it: on loopback no token is asked for. On any other address it asks like
 * the coordinator does, because it spends the coordinator's trust on behalf of its callers.
 */
export function storefrontConfig(env: Env, logger: Logger): StorefrontConfig {
  const auth = authOptionsFromEnv(env, logger);
  const host = envText(env, 'HOST', { default: '127.0.0.1' });
  const url = (name: string, port: number): string => envUrl(env, name, { schemes: ['http', 'https'], default: `http://127.0.0.1:${port}` }).replace(/\/+$/, '');
  return {
    host,
    port: envPort(env, 'STOREFRONT_PORT', 3010),
    coordinatorUrl: url('COORDINATOR_URL', 3000),
    services: { orders: url('ORDERS_URL', 3001), payments: url('PAYMENTS_URL', 3002), inventory: url('INVENTORY_URL', 3003) },
    auth: isLoopback(host) ? 'public' : auth,
    ...ownTokens(env, auth),
  };
}

function ownTokens(env: Env, auth: AuthOptions): Pick<StorefrontConfig, 'submitToken' | 'readToken'> {
  const given = envText(env, 'CONCORDAT_TOKEN', { default: '' });
  if (given !== '') return { submitToken: given, readToken: given };
  if (auth.mode === 'tokens') return { submitToken: auth.tokens.submit, readToken: auth.tokens.read };
  if (auth.mode === 'off') return { submitToken: null, readToken: null };
  throw new ConfigError('CONCORDAT_TOKEN is not set; with CONCORDAT_JWKS_URL the storefront needs a token of its own with the roles submit and read');
}
