import { randomBytes } from 'node:crypto';
import fs from 'node:fs';

export interface Tokens {
  readonly submit: string;
  readonly read: string;
  readonly operate: string;
}

/** Made before the services start: then all of them can be started at once. */
export function writeTokens(file: string): Tokens {
  const token = (): string => randomBytes(32).toString('base64url');
  const tokens = { submit: token(), read: token(), operate: token() };
  fs.writeFileSync(file, JSON.stringify(tokens), { mode: 0o600 });
  return tokens;
}
