// Where the time of a transaction goes, from what the coordinator has written down about it.
import { decodeTimeline } from '#libs/postgres';
import type { Phase } from './report-types.ts';

type Pool = ReturnType<typeof import('#libs/postgres').createPool>;

export interface TimedEvent {
  readonly atMs: number;
  readonly type: string;
  /** Record or message kind. */
  readonly name: string;
}

export interface Moments {
  /** When the client made the key of its request; null: it made none that tells. */
  readonly askedMs: number | null;
  /** In order of time. */
  readonly events: readonly TimedEvent[];
}

/** Each question costs the coordinator a read: fewer than from the tables. */
const ASKED_OVER_HTTP = 200;
const HOUR_MS = 3_600_000;
const NAMES: readonly Phase['name'][] = ['queue', 'prepare', 'vote', 'decision', 'delivery'];

const ASKS = new Set(['PREPARE', 'PREPARE_AND_COMMIT', 'EXECUTE']);
const VOTES = new Set(['VOTE', 'ONE_PHASE_OUTCOME', 'PHASE_2B', 'EXECUTED', 'REFUSED']);
const DELIVERED = new Set(['ACK', 'EXECUTED', 'COMPENSATED', 'CANCELLED']);

/** Milliseconds of each phase over all of them; a phase that none of them has is left out. */
export function summarisePhases(all: readonly Moments[]): readonly Phase[] {
  const lengths = all.map(phasesOf);
  return NAMES.flatMap((name) => {
    const sorted = lengths.flatMap((phases) => phases[name] ?? []).sort((a, b) => a - b);
    const at = (fraction: number): number => sorted[Math.max(0, Math.ceil(sorted.length * fraction) - 1)]!;
    return sorted.length === 0 ? [] : [{ name, p50: at(0.5), p95: at(0.95), p99: at(0.99) }];
  });
}

/**
 * Milliseconds, as exact as the coordinator's clock shows them; what a transaction does not have is left out.
 *
 * queue      from the client's key to the coordinator's record BEGIN, on two clocks
 * prepare    until BEGIN is durable and the last PREPARE is sent (the first step of a saga)
 * vote       until the last vote that the decision needed (paxos-commit: the acceptors' 2b; saga: the pivot's answer)
 * decision   until it is durable, and so may be sent (3pc: its second phase included)
 * delivery   until the last participant says that it has applied it
 */
export function phasesOf({ askedMs, events }: Moments): Readonly<Partial<Record<Phase['name'], number>>> {
  const begun = events.find(({ type, name }) => type === 'record' && name === 'BEGIN')?.atMs;
  const asked = askedAt(events);
  const decidedAt = decisionOf(events);
  if (begun === undefined || asked === undefined || decidedAt === null) return {};
  const voted = events.slice(0, decidedAt.place + 1).findLast(({ type, name }) => type === 'receive' && VOTES.has(name))?.atMs ?? asked;
  const delivered = events.slice(decidedAt.place + 1).findLast(({ type, name, atMs }) => type === 'receive' && DELIVERED.has(name) && atMs >= decidedAt.durableMs)?.atMs;
  const length = (from: number, to: number): number => Math.max(0, to - from);
  return {
    ...(askedMs === null || Math.abs(begun - askedMs) > HOUR_MS ? {} : { queue: length(askedMs, begun) }),
    prepare: length(begun, asked), vote: length(asked, voted), decision: length(voted, decidedAt.durableMs),
    ...(delivered === undefined ? {} : { delivery: length(decidedAt.durableMs, delivered) }),
  };
}

/** A saga asks step by step: only the first says how long asking took. */
function askedAt(events: readonly TimedEvent[]): number | undefined {
  const asks = events.filter(({ type, name }) => type === 'send' && ASKS.has(name));
  return (asks[0]?.name === 'EXECUTE' ? asks[0] : asks.at(-1))?.atMs;
}

/** `place` is that of the last event before the decision; `durableMs` when something left that only a durable decision lets go. */
function decisionOf(events: readonly TimedEvent[]): { readonly place: number; readonly durableMs: number } | null {
  const recorded = events.findIndex(({ type, name }) => type === 'record' && name === 'DECIDE');
  const sent = events.findIndex(({ type, name }, i) => type === 'send' && (name === 'COMMIT' || name === 'ABORT' || (recorded >= 0 && i > recorded)));
  const ended = events.findIndex(({ type, name }) => type === 'record' && name === 'END');
  const [durable] = [sent, ended].filter((place) => place >= 0);
  if (durable === undefined) return null;
  return { place: recorded >= 0 ? recorded : durable, durableMs: events[durable]!.atMs };
}

/** Of the transactions that are there, from the tables, all in one question. */
export async function momentsFromTables(coordinator: Pool, txids: readonly string[]): Promise<readonly Moments[]> {
  if (txids.length === 0) return [];
  const { rows } = await coordinator.query<{ key: string | null; createdMs: number; decided: string | null; ended: string | null }>(`
    SELECT b.idempotency_key AS key, (extract(epoch FROM b.created_at) * 1000)::float8 AS "createdMs", d.timeline AS decided, e.timeline AS ended
      FROM tx_begin b LEFT JOIN tx_decision d ON d.txid = b.txid LEFT JOIN tx_end e ON e.txid = b.txid
     WHERE b.txid = ANY ($1::uuid[])`, [txids]);
  return rows.map(({ key, createdMs, decided, ended }) => {
    const events: readonly TimedEvent[] = decodeTimeline([decided, ended].filter((timeline) => timeline !== null));
    const hasBegin = events.some(({ type, name }) => type === 'record' && name === 'BEGIN');
    return { askedMs: keyTimeOf(key), events: hasBegin ? events : [{ atMs: createdMs, type: 'record', name: 'BEGIN' }, ...events] };
  });
}

/** Of some of them, over the API, which does not tell their keys. */
export async function momentsOverHttp(url: string, token: string, txids: readonly string[]): Promise<readonly Moments[]> {
  const moments: Moments[] = [];
  for (const txid of txids.slice(0, ASKED_OVER_HTTP)) {
    const response = await fetch(`${url}/v1/transactions/${txid}/timeline`, { headers: { authorization: `Bearer ${token}` }, signal: AbortSignal.timeout(10_000) });
    if (!response.ok) {
      await response.body?.cancel();
      continue;
    }
    const { events } = await response.json() as { readonly events: readonly { readonly at: string; readonly type: string; readonly name: string }[] };
    moments.push({ askedMs: null, events: events.map(({ at, type, name }) => ({ atMs: Date.parse(at), type, name })) });
  }
  return moments;
}

/** The milliseconds in a UUID of version 7, with which the client library's keys begin. */
export function keyTimeOf(key: string | null): number | null {
  const [, high, low] = /^([0-9a-f]{8})-([0-9a-f]{4})-7/.exec(key ?? '') ?? [];
  return high === undefined || low === undefined ? null : Number.parseInt(high + low, 16);
}
