/** Hands slices of seeds to workers. The result is that of the slices in their order, whoever ran them and whenever they were done. */
import { LAST_SEED } from './numbers.js';
import { merge, type Slice, type SliceResult } from './work.js';

export interface Worker {
  run(slice: Slice): Promise<SliceResult>;
  close(): void;
}

export interface CampaignPlan {
  readonly firstSeed: number;
  readonly runs: number;
  readonly sliceSize: number;
  readonly keepGoing: boolean;
}

export class Campaign {
  private readonly slices: readonly Slice[];
  private readonly results: (SliceResult | undefined)[] = [];
  private next = 0;
  private done = 0;
  /** Slices after the first one with a violation do not count. */
  private lastThatCounts: number;
  private found = 0;
  private counted = 0;

  constructor(private readonly plan: CampaignPlan, private readonly onProgress: (runs: number, violations: number) => void = () => {}) {
    this.slices = slicesOf(plan);
    this.lastThatCounts = this.slices.length - 1;
  }

  async run(workers: readonly Worker[]): Promise<SliceResult> {
    try {
      await Promise.all(workers.map((worker) => this.feed(worker)));
    } finally {
      for (const worker of workers) worker.close();
    }
    return this.soFar()!;
  }

  /** What is known at this moment; null: nothing. */
  soFar(): SliceResult | null {
    const known = this.results.slice(0, this.lastThatCounts + 1).filter((result) => result !== undefined);
    return known.length === 0 ? null : known.reduce(merge);
  }

  private async feed(worker: Worker): Promise<void> {
    while (this.next <= this.lastThatCounts) {
      const at = this.next++;
      const result = await worker.run(this.slices[at]!);
      this.results[at] = result;
      this.done += result.runs;
      if (result.violations.length > 0 && !this.plan.keepGoing) this.lastThatCounts = Math.min(this.lastThatCounts, at);
      this.onProgress(this.done, this.violations());
    }
  }

  /** Counts the slices that have come since it was last asked. */
  private violations(): number {
    for (; this.counted < this.results.length && this.results[this.counted] !== undefined; this.counted++) this.found += this.results[this.counted]!.violations.length;
    return this.found;
  }
}

/** Seeds go on at 0 after the last one; no slice goes over that edge. */
function slicesOf({ firstSeed, runs, sliceSize }: CampaignPlan): Slice[] {
  const slices: Slice[] = [];
  for (let done = 0; done < runs;) {
    const first = (firstSeed + done) % (LAST_SEED + 1);
    const count = Math.min(sliceSize, runs - done, LAST_SEED + 1 - first);
    slices.push({ firstSeed: first, count });
    done += count;
  }
  return slices;
}
