import { randomFillSync } from 'node:crypto';
import { makeTxid, type Txid } from '#libs/protocol';

const BYTES = 8;

/** Makes txids; takes randomness in larger pieces, because a system call for each id would show in a profile. */
export class TxidMaker {
  private readonly pool = new Uint8Array(BYTES * 512);
  private used = this.pool.length;

  /** @param fill puts randomness into all bytes */
  constructor(private readonly fill: (bytes: Uint8Array) => void = randomFillSync) {}

  make(shard: number, nowMs: number): Txid {
    if (this.used === this.pool.length) {
      this.fill(this.pool);
      this.used = 0;
    }
    const random = this.pool.subarray(this.used, this.used + BYTES);
    this.used += BYTES;
    return makeTxid(shard, nowMs, random);
  }
}
