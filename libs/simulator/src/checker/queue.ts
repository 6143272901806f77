/** Worlds that are still to be looked at, first in, first out, one after the other in large typed arrays. */
const CHUNK_WORDS = 1 << 20;

export class WorldQueue {
  size = 0;
  private readonly chunks: Int32Array[] = [new Int32Array(CHUNK_WORDS)];
  private writeAt = 0;
  private readAt = 0;
  private first = 0;

  push(world: Int32Array, length: number): void {
    if (this.writeAt + length + 1 > CHUNK_WORDS) {
      if (this.writeAt < CHUNK_WORDS) this.chunks.at(-1)![this.writeAt] = -1;
      this.chunks.push(new Int32Array(CHUNK_WORDS));
      this.writeAt = 0;
    }
    const chunk = this.chunks[this.chunks.length - 1]!;
    chunk[this.writeAt] = length;
    for (let i = 0; i < length; i++) chunk[this.writeAt + 1 + i] = world[i]!;
    this.writeAt += length + 1;
    this.size += 1;
  }

  /** Copies the oldest world and gives its length. */
  shift(into: Int32Array): number {
    let chunk = this.chunks[this.first]!;
    if (this.readAt === CHUNK_WORDS || chunk[this.readAt] === -1) {
      this.chunks[this.first] = EMPTY;
      this.first += 1;
      this.readAt = 0;
      chunk = this.chunks[this.first]!;
    }
    const length = chunk[this.readAt]!;
    for (let i = 0; i < length; i++) into[i] = chunk[this.readAt + 1 + i]!;
    this.readAt += length + 1;
    this.size -= 1;
    return length;
  }
}

const EMPTY = new Int32Array(0);
