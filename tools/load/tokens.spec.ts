import { afterAll, describe, expect, it } from '@jest/globals';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { tokensFrom } from './tokens.js';

const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'concordat-tokens-'));
afterAll(() => fs.rmSync(folder, { recursive: true, force: true }));

function file(content: string): string {
  const name = path.join(folder, 'tokens.json');
  fs.writeFileSync(name, content);
  return name;
}

describe('the tokens for a stack that runs already', () => {
  it('are those that the stack wrote down', () => {
    expect(tokensFrom(file('{"submit":"s","read":"r","operate":"o"}'), {})).toEqual({ submit: 's', read: 'r' });
  });

  it('are one for everything, when the file holds nothing else', () => {
    expect(tokensFrom(file('abc\n'), {})).toEqual({ submit: 'abc', read: 'abc' });
  });

  it('come from the environment, when there is no file', () => {
    expect(tokensFrom(null, { CONCORDAT_TOKEN: 's' })).toEqual({ submit: 's', read: 's' });
    expect(tokensFrom(null, { CONCORDAT_TOKEN: 's', CONCORDAT_READ_TOKEN: 'r' })).toEqual({ submit: 's', read: 'r' });
  });

  it('are asked for by name, when they are missing', () => {
    expect(() => tokensFrom(null, {})).toThrow('no token for --url: give --token-file, or set CONCORDAT_TOKEN');
    expect(() => tokensFrom(path.join(folder, 'none'), {})).toThrow(/--token-file .* cannot be read \(ENOENT\)/);
    expect(() => tokensFrom(file('{"operate":"o"}'), {})).toThrow('has no "submit" and "read"');
    expect(() => tokensFrom(file('{"sub'), {})).toThrow('has no "submit" and "read"');
  });
});
