import fs from 'node:fs';
import { SetupError } from '../stack/setup-error.ts';
import type { Tokens } from '../stack/tokens.ts';

/** tokens.json as `npm start` writes it, a file that holds one token, or the environment's. @throws SetupError */
export function tokensFrom(file: string | null, env: NodeJS.ProcessEnv): { readonly submit: string; readonly read: string } {
  if (file === null) {
    const submit = env.CONCORDAT_TOKEN ?? '';
    if (submit === '') throw new SetupError('INVALID_CONFIGURATION', 'no token for --url: give --token-file, or set CONCORDAT_TOKEN (and CONCORDAT_READ_TOKEN, if it has not the read role too)');
    return { submit, read: env.CONCORDAT_READ_TOKEN || submit };
  }
  let text: string;
  try {
    text = fs.readFileSync(file, 'utf8').trim();
  } catch (error) {
    throw new SetupError('INVALID_CONFIGURATION', `--token-file ${file} cannot be read (${(error as NodeJS.ErrnoException).code})`);
  }
  if (!text.startsWith('{')) return { submit: text, read: text };
  const { submit, read } = parse(text);
  if (submit === undefined || read === undefined) throw new SetupError('INVALID_CONFIGURATION', `--token-file ${file} has no "submit" and "read"; it takes a tokens.json, or a file that holds one token`);
  return { submit, read };
}

function parse(text: string): Partial<Tokens> {
  try {
    return JSON.parse(text) as Partial<Tokens>;
  } catch {
    return {};
  }
}
