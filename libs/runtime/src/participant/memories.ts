import type { Txid } from '#libs/protocol';
import type { Clock } from '../ports.js';
import type { Memory } from './roles/role.js';

interface Entry {
  readonly txid: Txid;
  readonly memory: Memory;
  readonly touchedMs: number;
}

export interface MemoriesOptions {
  /** What nobody has touched for so long is of no use: its transaction has ended elsewhere, or hangs and begins its round anew. */
  readonly memoryKeptMs: number;
  /** The oldest are forgotten beyond so many. */
  readonly maxMemories: number;
}

/** What machines know beside their rows, the least recently touched first. Any of it may be forgotten at any moment. */
export class Memories {
  private readonly entries = new Map<string, Entry>();

  constructor(private readonly clock: Pick<Clock, 'elapsed'>, private readonly options: MemoriesOptions) {}

  get size(): number {
    return this.entries.size;
  }

  get(id: string): Memory | null {
    return this.entries.get(id)?.memory ?? null;
  }

  set(id: string, txid: Txid, memory: Memory): void {
    const touchedMs = this.clock.elapsed();
    this.entries.delete(id);
    this.entries.set(id, { txid, memory, touchedMs });
    for (const [oldest, entry] of this.entries) {
      if (this.entries.size <= this.options.maxMemories && touchedMs - entry.touchedMs < this.options.memoryKeptMs) return;
      this.entries.delete(oldest);
    }
  }

  delete(id: string): void {
    this.entries.delete(id);
  }

  keep(isKept: (txid: Txid) => boolean): void {
    for (const [id, { txid }] of this.entries) if (!isKept(txid)) this.entries.delete(id);
  }
}
