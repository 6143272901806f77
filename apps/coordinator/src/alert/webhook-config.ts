import { ConfigError, type Env, envText, envUrl } from '#libs/service';

/** Where to tell that a transaction needs a person. */
export interface WebhookOptions {
  readonly url: string;
  /** Key of the signature. */
  readonly secret: Buffer;
}

const SECRET_TAKES = 'a secret of at least 24 characters, or "whsec_" and 24 to 64 bytes in base64, which receivers need to verify the signature';
const PREFIX = 'whsec_';

/**
 * WEBHOOK_URL and WEBHOOK_SECRET, both or neither.
 * @throws ConfigError that shows neither a secret nor a URL, which may hold one
 */
export function webhookFromEnv(env: Env): WebhookOptions | null {
  const url = envUrl(env, 'WEBHOOK_URL', { schemes: ['https', 'http'], default: '', secret: true });
  const text = envText(env, 'WEBHOOK_SECRET', { default: '' });
  if (url === '') {
    if (text !== '') throw ConfigError.of('WEBHOOK_URL', undefined, 'a URL with https:// or http:// when WEBHOOK_SECRET is set');
    return null;
  }
  const { username, password } = new URL(url);
  if (username !== '' || password !== '') throw ConfigError.of('WEBHOOK_URL', null, 'a URL without a user and a password: what is sent is signed with WEBHOOK_SECRET');
  if (text === '') throw ConfigError.of('WEBHOOK_SECRET', undefined, `${SECRET_TAKES}, when WEBHOOK_URL is set`);
  return { url, secret: secretOf(text) };
}

/** As the Standard Webhooks specification writes keys, or any text. */
function secretOf(text: string): Buffer {
  if (!text.startsWith(PREFIX)) {
    if (text.length < 24) throw ConfigError.of('WEBHOOK_SECRET', null, SECRET_TAKES);
    return Buffer.from(text);
  }
  const base64 = text.slice(PREFIX.length);
  const bytes = Buffer.from(base64, 'base64');
  if (!/^[A-Za-z0-9+/]+={0,2}$/.test(base64) || bytes.length < 24 || bytes.length > 64) throw ConfigError.of('WEBHOOK_SECRET', null, SECRET_TAKES);
  return bytes;
}
