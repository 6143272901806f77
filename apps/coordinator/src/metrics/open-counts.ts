import { PROTOCOL_NAMES, type ProtocolName } from '#libs/protocol';
import type { OpenTransactions } from '#libs/postgres';

type Counts = Omit<OpenTransactions, 'protocol'>;

const NONE: Counts = { unfinished: 0, undecided: 0, overdue: 0, needAttention: 0, oldestUndecidedMs: 0 };
/** However often somebody asks, the database is asked at most this often. */
const FRESH_MS = 5_000;

/** What is open in the shards of this instance, by protocol, at most 5 s old. */
export class OpenCounts {
  private last: Promise<ReadonlyMap<ProtocolName, Counts> | null> = Promise.resolve(null);
  private readAtMs = -Infinity;

  constructor(private readonly count: () => Promise<readonly OpenTransactions[]>, private readonly onError: (error: unknown) => void) {}

  /** Null: it cannot be read now. */
  read(): Promise<ReadonlyMap<ProtocolName, Counts> | null> {
    if (performance.now() - this.readAtMs > FRESH_MS) {
      this.readAtMs = performance.now();
      this.last = this.load();
    }
    return this.last;
  }

  private async load(): Promise<ReadonlyMap<ProtocolName, Counts> | null> {
    try {
      const found = new Map((await this.count()).map(({ protocol, ...counts }) => [protocol, counts]));
      return new Map(PROTOCOL_NAMES.map((protocol) => [protocol, found.get(protocol) ?? NONE]));
    } catch (error) {
      this.onError(error);
      return null;
    }
  }
}
