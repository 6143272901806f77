import { describe, expect, it } from '@jest/globals';
import { ConfigError } from './config-error.js';
import { envDatabaseUrl, envEnum, envInt, envNames, envNumber, envPort, envText, envUrl } from './env.js';

const message = (read: () => unknown): string => {
  try {
    read();
  } catch (error) {
    expect(error).toBeInstanceOf(ConfigError);
    return (error as Error).message;
  }
  throw new Error('was taken');
};

describe('environment variables', () => {
  it('that are not set or empty take the default', () => {
    for (const env of [{}, { X: '' }, { X: '  ' }]) {
      expect([envInt(env, 'X', { default: 5, min: 1, max: 9 }), envPort(env, 'X', 80), envText(env, 'X', { default: 'a' }), envEnum(env, 'X', ['a', 'b'], 'b')]).toEqual([5, 80, 'a', 'b']);
    }
  });

  it.each<[() => unknown, string]>([
    [() => envInt({ X: 'many' }, 'X', { min: 1, max: 9 }), 'X got "many"; it takes a whole number from 1 to 9'],
    [() => envInt({ X: '10' }, 'X', { min: 1, max: 9 }), 'X got "10"; it takes a whole number from 1 to 9'],
    [() => envInt({ X: '1e0' }, 'X', { min: 1, max: 9 }), 'X got "1e0"; it takes a whole number from 1 to 9'],
    [() => envPort({ X: '65536' }, 'X', 1), 'X got "65536"; it takes a whole number from 0 to 65535'],
    [() => envEnum({ X: 'c' }, 'X', ['a', 'b']), 'X got "c"; it takes "a" or "b"'],
    [() => envUrl({ X: 'localhost:3000' }, 'X', { schemes: ['http', 'https'] }), 'X got "localhost:3000"; it takes a URL with http:// or https://'],
    [() => envText({}, 'X'), 'X is not set; it takes text'],
    [() => envText({ X: 'a\nb' }, 'X', { pattern: /^\w+$/, takes: 'a word' }), 'X got "a\\nb"; it takes a word'],
  ])('say in one line what they got and what they take', (read, text) => {
    expect(message(read)).toBe(text);
    expect(text).not.toContain('\n');
  });

  it('name things, each once', () => {
    const takes = 'an even number of names';
    const read = (X: string): readonly string[] => envNames({ X }, 'X', { takes, check: ({ length }) => length % 2 === 0 });
    expect([read(' a , b.c '), envNames({}, 'X', { takes, default: ['d'] })]).toEqual([['a', 'b.c'], ['d']]);
    for (const wrong of ['a', 'a,a', 'a,', 'a,b c']) expect(message(() => read(wrong))).toBe(`X got ${JSON.stringify(wrong)}; it takes ${takes}`);
  });

  it('may be fractions', () => {
    const read = (X: string): number => envNumber({ X }, 'X', { min: 0.5, max: 2 });
    expect([read('0.5'), read('2'), envNumber({}, 'X', { default: 7, min: 0, max: 9 })]).toEqual([0.5, 2, 7]);
    for (const wrong of ['0.4', '2.1', '1e0', '.7', 'one']) expect(message(() => read(wrong))).toContain('it takes a number from 0.5 to 2');
  });

  it('that may hold a password are not shown', () => {
    expect(message(() => envDatabaseUrl({ X: 'mysql://root:swordfish@db/x' }, 'X'))).not.toContain('swordfish');
  });
});
