export type HousekeepingRole = 'coordinator' | 'participant';

/** Tables that are partitioned alike, in the order in which flushes lock them. */
export interface TableSet {
  readonly tables: readonly string[];
  /** Storage parameters of a partition: a partitioned table cannot hand them down. */
  readonly storage: string;
}

export const TABLE_SETS: { readonly [R in HousekeepingRole]: TableSet } = {
  coordinator: { tables: ['tx_begin', 'tx_decision', 'tx_end'], storage: 'WITH (toast_tuple_target = 8160)' },
  participant: { tables: ['concordat_branch', 'concordat_acceptor', 'concordat_leader'], storage: '' },
};

/** Txids from the first millisecond up to, without, the last one. */
export interface TimeRange {
  readonly fromMs: number;
  readonly toMs: number;
}

/** `tx_begin_20261121000000000`: by the UTC time at which it begins. */
export function partitionName(table: string, { fromMs }: TimeRange): string {
  return `${table}_${new Date(fromMs).toISOString().replace(/\D/g, '')}`;
}

/**
 * The ranges that are missing so that everything from `nowMs` to `aheadMs` later falls into a partition, cut at multiples of
 * `partitionMs`. Partitions of another length that are there already stay.
 */
export function missingRanges(existing: readonly TimeRange[], nowMs: number, partitionMs: number, aheadMs: number): readonly TimeRange[] {
  const missing: TimeRange[] = [];
  for (let at = Math.floor(nowMs / partitionMs) * partitionMs; at <= nowMs + aheadMs;) {
    const covering = existing.find((range) => range.fromMs <= at && at < range.toMs);
    const next = Math.min(...existing.map((range) => range.fromMs).filter((fromMs) => fromMs > at));
    const toMs = covering?.toMs ?? Math.min(next, (Math.floor(at / partitionMs) + 1) * partitionMs);
    if (covering === undefined) missing.push({ fromMs: at, toMs });
    at = toMs;
  }
  return missing;
}
