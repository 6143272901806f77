import type { Txid } from '#libs/protocol';

/** The transaction that has a key, and the SHA-256 of what it was asked for with. */
export interface KeyHolder {
  readonly txid: Txid;
  readonly requestHash: string;
}

interface Waiting {
  readonly key: string;
  readonly resolve: (holder: KeyHolder | null) => void;
  readonly reject: (error: unknown) => void;
}

const MAX_PER_READ = 1_000;
/** Beyond this a refusal stays a refusal: whoever is overloaded must not be made to read for everybody it sends away. */
const MAX_WAITING = 5_000;
const LIMIT_MS = 2_000;

/** Finds out who has a key, one query at a time for all who ask. */
export class KeyLookup {
  private waiting: Waiting[] = [];
  private running = false;

  constructor(private readonly read: (keys: readonly string[]) => Promise<ReadonlyMap<string, KeyHolder>>) {}

  /**
   * Null: nobody has it, or too many are asking.
   * @throws the database's error, or one that says that it did not answer in time
   */
  find(key: string): Promise<KeyHolder | null> {
    if (this.waiting.length >= MAX_WAITING) return Promise.resolve(null);
    return new Promise((resolve, reject) => {
      const limit = setTimeout(() => reject(new Error(`the database did not say within ${LIMIT_MS} ms who has the key`)), LIMIT_MS);
      this.waiting.push({
        key,
        resolve: (holder) => { clearTimeout(limit); resolve(holder); },
        reject: (error) => { clearTimeout(limit); reject(error as Error); },
      });
      if (!this.running) void this.run();
    });
  }

  private async run(): Promise<void> {
    this.running = true;
    // Callers of the same moment share the first read.
    await new Promise((resolve) => setImmediate(resolve));
    while (this.waiting.length > 0) {
      const asked = this.waiting.splice(0, MAX_PER_READ);
      try {
        const holders = await this.read([...new Set(asked.map(({ key }) => key))]);
        for (const { key, resolve } of asked) resolve(holders.get(key) ?? null);
      } catch (error) {
        for (const { reject } of asked) reject(error);
      }
    }
    this.running = false;
  }
}
