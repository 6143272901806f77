import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { pino } from 'pino';
import { Authenticator, authOptionsFromEnv } from './authenticator.js';
import { ConfigError } from './config-error.js';
import { loadOrCreateTokens } from './tokens.js';

let folder: string;
beforeEach(() => { folder = mkdtempSync(path.join(os.tmpdir(), 'tokens-')); });
afterEach(() => {
  chmodSync(folder, 0o700);
  rmSync(folder, { recursive: true, force: true });
});

const logger = pino({ level: 'silent' });

describe('the tokens file', () => {
  it('is made once, for its owner alone, and read from then on', () => {
    const file = path.join(folder, 'a', 'b', 'tokens.json');
    const tokens = loadOrCreateTokens(file);
    expect(new Set(Object.values(tokens)).size).toBe(3);
    expect(statSync(file).mode & 0o777).toBe(0o600);
    expect(loadOrCreateTokens(file)).toEqual(tokens);
    expect(JSON.parse(readFileSync(file, 'utf8'))).toEqual(tokens);
    expect(readdirSync(path.dirname(file))).toEqual(['tokens.json']);
  });

  it.each(['', '{', '{}', '{"submit":"a","read":"b","operate":"c"}', JSON.stringify({ submit: 'x'.repeat(20), read: 'x'.repeat(20), operate: 'y'.repeat(20) })])('with %j stops the start and says what it takes', (text) => {
    const file = path.join(folder, 'tokens.json');
    writeFileSync(file, text);
    expect(() => loadOrCreateTokens(file)).toThrow(ConfigError);
    expect(() => loadOrCreateTokens(file)).toThrow(/CONCORDAT_TOKENS_FILE .* is not valid; it takes/);
  });

  it('that cannot be written stops the start', () => {
    writeFileSync(path.join(folder, 'file'), '');
    expect(() => loadOrCreateTokens(path.join(folder, 'file', 'tokens.json'))).toThrow(/CONCORDAT_TOKENS_FILE .* cannot be (read|written) \(ENOTDIR\)/);
  });
});

describe('authentication from the environment', () => {
  it('takes the tokens file by default', () => {
    expect(authOptionsFromEnv({ CONCORDAT_DATA_DIR: folder }, logger)).toEqual({ mode: 'tokens', tokens: loadOrCreateTokens(path.join(folder, 'tokens.json')) });
  });

  it('may be off on loopback only', () => {
    expect(authOptionsFromEnv({ CONCORDAT_AUTH: 'off' }, logger)).toEqual({ mode: 'off' });
    expect(authOptionsFromEnv({ CONCORDAT_AUTH: 'off', HOST: '::1' }, logger)).toEqual({ mode: 'off' });
    expect(() => authOptionsFromEnv({ CONCORDAT_AUTH: 'off', HOST: '0.0.0.0' }, logger)).toThrow(/CONCORDAT_AUTH got "off" while HOST is "0.0.0.0"/);
    expect(() => authOptionsFromEnv({ CONCORDAT_AUTH: 'no' }, logger)).toThrow(/CONCORDAT_AUTH got "no"; it takes "on" or "off"/);
  });

  it('knows callers by their tokens and gives operate all roles', () => {
    const authenticator = new Authenticator(authOptionsFromEnv({ CONCORDAT_DATA_DIR: folder }, logger));
    const tokens = loadOrCreateTokens(path.join(folder, 'tokens.json'));
    expect(authenticator.authenticate(`bearer ${tokens.operate}`)).toEqual({ subject: 'token:operate', roles: new Set(['submit', 'read', 'operate']) });
    expect(authenticator.authenticate(`Bearer ${tokens.read}`)).toEqual({ subject: 'token:read', roles: new Set(['read']) });
    for (const wrong of [undefined, '', tokens.read, `Bearer ${tokens.read}x`, 'Bearer ', `Basic ${tokens.read}`, `Bearer ${'x'.repeat(10_000)}`]) expect(authenticator.authenticate(wrong)).toBeNull();
  });
});
