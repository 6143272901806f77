import { randomBytes } from 'node:crypto';
import { closeSync, fsyncSync, linkSync, mkdirSync, openSync, readFileSync, unlinkSync, writeSync } from 'node:fs';
import path from 'node:path';
import { ConfigError } from './config-error.js';

/** Bearer tokens, one per role; operate includes submit and read. */
export interface Tokens {
  readonly submit: string;
  readonly read: string;
  readonly operate: string;
}

const TOKEN_PATTERN = /^[\w.~+/-]{16,512}=*$/;

/**
 * Reads the tokens from the file; when there is none, makes three random ones (32 bytes each, base64url) and writes it, mode 0600.
 * Many processes may race: the content is complete before the name appears, and `link` lets exactly one win; the others read it.
 */
export function loadOrCreateTokens(file: string): Tokens {
  const existing = read(file);
  if (existing !== null) return existing;
  create(file, { submit: makeToken(), read: makeToken(), operate: makeToken() });
  const winner = read(file);
  if (winner === null) throw new ConfigError(`CONCORDAT_TOKENS_FILE ${file} was removed while it was being made; start again`);
  return winner;
}

function makeToken(): string {
  return randomBytes(32).toString('base64url');
}

function read(file: string): Tokens | null {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw new ConfigError(`CONCORDAT_TOKENS_FILE ${file} cannot be read (${(error as NodeJS.ErrnoException).code})`);
  }
  const tokens = parse(text);
  if (tokens === null) throw new ConfigError(`CONCORDAT_TOKENS_FILE ${file} is not valid; it takes {"submit": "...", "read": "...", "operate": "..."}, three different tokens of 16 to 512 characters; remove it to have new ones made`);
  return tokens;
}

function parse(text: string): Tokens | null {
  try {
    const { submit, read: reader, operate } = JSON.parse(text) as Record<string, unknown>;
    const all = [submit, reader, operate];
    const valid = all.every((token) => typeof token === 'string' && TOKEN_PATTERN.test(token)) && new Set(all).size === 3;
    return valid ? { submit: submit as string, read: reader as string, operate: operate as string } : null;
  } catch {
    return null;
  }
}

function create(file: string, tokens: Tokens): void {
  const draft = `${file}.${process.pid}.${randomBytes(6).toString('hex')}`;
  try {
    mkdirSync(path.dirname(file), { recursive: true });
    const fd = openSync(draft, 'wx', 0o600);
    try {
      writeSync(fd, `${JSON.stringify(tokens, null, 2)}\n`);
      fsyncSync(fd);
    } finally {
      closeSync(fd);
    }
    try {
      linkSync(draft, file);
    } finally {
      unlinkSync(draft);
    }
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    if (code !== 'EEXIST') throw new ConfigError(`CONCORDAT_TOKENS_FILE ${file} cannot be written (${code}); it takes a file in a folder that this user may write to`);
  }
}
