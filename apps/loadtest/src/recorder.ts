import type { Ending, Loop, Progress, Result } from './contract.js';
import { Latencies } from './latency.js';
import type { Attempted } from './ways/way.js';

type Second = Result['bySecond'][number];

export interface RecorderOptions {
  readonly loop: Loop['kind'];
  /** At most: see `measureAfter`. */
  readonly warmupSeconds: number;
  readonly seconds: number;
  readonly onSecond: (progress: Progress) => void;
}

const MOST_SAMPLES = 2_000;
const MOST_TOLD = 200_000;

/**
 * What came of the attempts of one run. All times are milliseconds since the loop's start, and are arguments.
 *
 * What counts, of an open loop: each attempt that was to start in the measured time, whenever it ended, or the slowest would be missing.
 * Of a closed one: each that ended in the measured time, so that the throughput is right whatever was under way at its edges; and each that
 * became unknown after it. The series by second has whatever ended in that second, of the measured time or not.
 */
export class Recorder {
  private warmupMs: number;
  private measuredMs: number;
  private readonly latencies = new Latencies('fine');
  private readonly endings: Record<Ending, number> = { committed: 0, aborted: 0, refused: 0, unknown: 0, shed: 0 };
  private readonly reasons: Record<string, number> = {};
  private readonly sample: string[] = [];
  private readonly told: [string, string][] = [];
  private readonly bySecond: Second[] = [];
  private readonly current = { second: 0, ended: 0, refused: 0, latencies: new Latencies('coarse') };
  private outstanding = 0;
  private latestStartMs = 0;

  constructor(private readonly options: RecorderOptions) {
    this.warmupMs = options.warmupSeconds * 1000;
    this.measuredMs = options.seconds * 1000;
    this.current.second = -Math.ceil(options.warmupSeconds);
  }

  /** @param dueMs when it was to start: an open loop's intended start */
  began(dueMs: number, atMs: number): void {
    this.outstanding++;
    if (this.isMeasured(dueMs)) this.latestStartMs = Math.max(this.latestStartMs, atMs - dueMs);
  }

  ended(attempted: Attempted, dueMs: number, atMs: number): void {
    this.outstanding--;
    this.advance(atMs);
    const { ending, txid, outcome } = attempted;
    const decided = ending === 'committed' || ending === 'aborted';
    if (decided) this.addToSecond(atMs - dueMs);
    if (ending === 'refused') this.current.refused++;
    if (decided && txid !== null && this.told.length < MOST_TOLD) this.told.push([txid, outcome ?? ending]);
    if (this.counts(ending, dueMs, atMs)) this.count(attempted, atMs - dueMs, atMs);
  }

  /**
   * The measured time begins so many seconds after the start, if that is earlier than it would: with the next second, when those are over.
   * @returns when it begins
   */
  measureAfter(seconds: number, nowMs: number): number {
    this.advance(nowMs);
    const { current } = this;
    const warmupSeconds = this.warmupMs / 1000;
    const elapsed = warmupSeconds + current.second;
    const begin = Math.max(seconds, elapsed + 1);
    if (current.second >= 0 || begin >= warmupSeconds) return warmupSeconds;
    this.warmupMs = begin * 1000;
    current.second = elapsed - begin;
    return begin;
  }

  /** It was not sent, because too many are unanswered. */
  shed(dueMs: number): void {
    if (this.isMeasured(dueMs)) this.endings.shed++;
  }

  /** Closes the seconds that are over by now. */
  advance(nowMs: number): void {
    while (nowMs >= this.warmupMs + (this.current.second + 1) * 1000) this.closeSecond();
  }

  /** The measured time ends now, before its time. */
  cutShort(nowMs: number): void {
    this.measuredMs = Math.max(0, Math.min(this.measuredMs, nowMs - this.warmupMs));
  }

  /** What has been learnt by now; what is still under way counts as unknown. */
  result(nowMs: number): Result {
    this.advance(nowMs);
    if (this.current.ended + this.current.refused > 0) this.closeSecond();
    if (this.outstanding > 0) this.add({ ending: 'unknown', reason: 'INTERRUPTED' }, this.outstanding);
    return {
      kind: 'result', endings: { ...this.endings }, reasons: { ...this.reasons },
      seconds: this.measuredMs / 1000, histogram: this.latencies.encoded(),
      bySecond: [...this.bySecond], latestStartMs: this.latestStartMs, sample: [...this.sample], told: [...this.told],
    };
  }

  private isMeasured(ms: number): boolean {
    return ms >= this.warmupMs && ms < this.warmupMs + this.measuredMs;
  }

  private counts(ending: Ending, dueMs: number, atMs: number): boolean {
    if (this.options.loop === 'open') return this.isMeasured(dueMs);
    return this.isMeasured(atMs) || (ending === 'unknown' && atMs >= this.warmupMs);
  }

  private count(attempted: Attempted, latencyMs: number, atMs: number): void {
    this.add(attempted, 1);
    if (attempted.ending !== 'committed' && attempted.ending !== 'aborted') return;
    this.latencies.record(latencyMs);
    // As many by now as the part of the time that is over: evenly, without knowing how many are to come.
    const due = Math.min(MOST_SAMPLES, Math.ceil(MOST_SAMPLES * ((atMs - this.warmupMs) / this.measuredMs)));
    if (attempted.txid !== null && this.sample.length < due) this.sample.push(attempted.txid);
  }

  private add({ ending, reason }: Pick<Attempted, 'ending' | 'reason'>, times: number): void {
    this.endings[ending] += times;
    if (ending === 'committed') return;
    const code = reason ?? 'NO_REASON';
    this.reasons[code] = (this.reasons[code] ?? 0) + times;
  }

  private addToSecond(latencyMs: number): void {
    this.current.ended++;
    this.current.latencies.record(latencyMs);
  }

  private closeSecond(): void {
    const { current } = this;
    const { second, ended, refused, latencies } = current;
    const at = (fraction: number): number | null => (latencies.count === 0 ? null : latencies.at(fraction));
    const row: Second = { second, ended, refused, p50Ms: at(0.5), p99Ms: at(0.99) };
    if (second >= 0) this.bySecond.push(row);
    this.options.onSecond({ kind: 'progress', ...row, outstanding: this.outstanding });
    current.second++;
    current.ended = 0;
    current.refused = 0;
    latencies.reset();
  }
}
