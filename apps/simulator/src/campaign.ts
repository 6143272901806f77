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
  /** Those that came before a slice that precedes them. */
  private readonly early = new Map<number, SliceResult>();
  private merged: SliceResult | null = null;
  private mergedSlices = 0;
  private next = 0;
  private done = 0;
  /** Slices after the first one with a violation do not count. */
  private lastThatCounts: number;

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
    const known = [...this.early].filter(([at]) => at <= this.lastThatCounts).sort(([a], [b]) => a - b).map(([, result]) => result);
    return [...(this.merged === null ? [] : [this.merged]), ...known].reduce<SliceResult | null>(together, null);
  }

  private async feed(worker: Worker): Promise<void> {
    while (this.next <= this.lastThatCounts) {
      const at = this.next++;
      const result = await worker.run(this.slices[at]!);
      this.done += result.runs;
      if (result.violations.length > 0 && !this.plan.keepGoing) this.lastThatCounts = Math.min(this.lastThatCounts, at);
      this.early.set(at, result);
      this.mergeInOrder();
      this.onProgress(this.done, this.merged?.violations.length ?? 0);
    }
  }

  private mergeInOrder(): void {
    for (let next = this.early.get(this.mergedSlices); next !== undefined && this.mergedSlices <= this.lastThatCounts; next = this.early.get(this.mergedSlices)) {
      this.merged = together(this.merged, next);
      this.early.delete(this.mergedSlices++);
    }
  }
}

function together(one: SliceResult | null, other: SliceResult): SliceResult {
  return one === null ? other : merge(one, other);
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
