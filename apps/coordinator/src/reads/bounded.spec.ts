import { describe, expect, it } from '@jest/globals';
import { UnavailableError } from '#libs/runtime';
import { bounded } from './bounded.js';

class Reader {
  readonly name = 'reader';
  private readonly answers = new Map([['a', 1]]);

  async read(key: string): Promise<number | undefined> {
    return this.answers.get(key);
  }

  async fail(): Promise<never> {
    throw new TypeError('wrong');
  }

  /** As a database that was stopped without a word. */
  hang(): Promise<never> {
    return new Promise(() => undefined);
  }

  count(): number {
    return this.answers.size;
  }
}

describe('a bounded reader', () => {
  const reader = bounded(new Reader(), 30);

  it('answers as the reader does', async () => {
    expect([await reader.read('a'), reader.count(), reader.name]).toEqual([1, 1, 'reader']);
    await expect(reader.fail()).rejects.toThrow(TypeError);
  });

  it('says that the store is unavailable when there is no answer in time', async () => {
    await expect(reader.hang()).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE', retryAfterMs: 1_000 });
    await expect(reader.hang()).rejects.toBeInstanceOf(UnavailableError);
  });
});
