import type { Announce, AnnouncedOperation } from '#libs/protocol';
import type { Pool } from './pool.js';

export interface RegisteredInstance {
  readonly instance: string;
  readonly version: string;
  readonly firstSeenMs: number;
  readonly lastSeenMs: number;
  /** Announced within the last minute, by the clock of the database. */
  readonly live: boolean;
  /** It hosts an acceptor of Paxos Commit. */
  readonly acceptor: boolean;
}

export interface RegisteredParticipant {
  readonly name: string;
  /** By an operator: no new transactions. */
  readonly paused: boolean;
  /**
   * What live instances offer, or, if none is live, what the last ones did. Where they differ (rolling upgrade) the instance that
   * came last is believed.
   */
  readonly operations: readonly AnnouncedOperation[];
  /** Newest announcement first. */
  readonly instances: readonly RegisteredInstance[];
  /** null: all instances have been forgotten. */
  readonly lastSeenMs: number | null;
}

/** Instances announce every 10 s. */
const LIVE_SECONDS = 60;

/** Who takes part and what they offer, as announced. Instances that are gone for long are forgotten by the housekeeper. */
export class ParticipantRegistry {
  constructor(private readonly pool: Pool) {}

  /** Takes down what instances say of themselves. Repeated and reordered announcements do no harm. */
  async announce(messages: readonly Announce[]): Promise<void> {
    const latest = [...new Map(messages.map((m) => [`${m.participant}\n${m.instance}`, m])).values()];
    if (latest.length === 0) return;
    const values = [latest.map((m) => m.participant), latest.map((m) => m.instance), latest.map((m) => m.version), latest.map((m) => JSON.stringify(m.operations)), latest.map((m) => m.acceptor)];
    // One statement: nobody sees a participant of which nothing is known yet.
    await this.pool.query(`
      WITH named AS (
        INSERT INTO participant (name) SELECT DISTINCT name FROM unnest($1::text[]) AS r (name) ORDER BY name ON CONFLICT DO NOTHING)
      INSERT INTO participant_instance (participant, instance, version, operations, acceptor)
      SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::jsonb[], $5::bool[]) AS r (participant, instance, version, operations, acceptor) ORDER BY participant, instance
          ON CONFLICT (participant, instance)
          DO UPDATE SET version = excluded.version, operations = excluded.operations, acceptor = excluded.acceptor, last_seen_at = now()`, values);
  }

  async list(): Promise<readonly RegisteredParticipant[]> {
    const { rows } = await this.pool.query<Row>(`
      SELECT p.name, p.paused, i.instance, i.version, i.operations, i.acceptor, i.first_seen_at, i.last_seen_at, i.last_seen_at > now() - make_interval(secs => $1) AS live
        FROM participant p LEFT JOIN participant_instance i ON i.participant = p.name
       ORDER BY p.name, i.last_seen_at DESC, i.instance`, [LIVE_SECONDS]);
    const names = [...new Set(rows.map((row) => row.name))];
    return names.map((name) => registered(rows.filter((row) => row.name === name)));
  }

  /** False: no such participant. */
  async setPaused(name: string, paused: boolean): Promise<boolean> {
    const { rowCount } = await this.pool.query('UPDATE participant SET paused = $2 WHERE name = $1', [name, paused]);
    return rowCount === 1;
  }
}

interface InstanceRow {
  readonly name: string;
  readonly paused: boolean;
  readonly instance: string;
  readonly version: string;
  readonly operations: readonly AnnouncedOperation[];
  readonly acceptor: boolean;
  readonly first_seen_at: Date;
  readonly last_seen_at: Date;
  readonly live: boolean;
}

type Row = InstanceRow | { readonly name: string; readonly paused: boolean; readonly instance: null };

function registered(rows: readonly Row[]): RegisteredParticipant {
  const instances = rows.filter((row): row is InstanceRow => row.instance !== null);
  return {
    name: rows[0]!.name,
    paused: rows[0]!.paused,
    operations: offered(instances),
    instances: instances.map((i) => ({ instance: i.instance, version: i.version, firstSeenMs: i.first_seen_at.getTime(), lastSeenMs: i.last_seen_at.getTime(), live: i.live, acceptor: i.acceptor })),
    lastSeenMs: instances[0]?.last_seen_at.getTime() ?? null,
  };
}

function offered(instances: readonly InstanceRow[]): readonly AnnouncedOperation[] {
  const live = instances.filter((i) => i.live);
  const believed = live.length > 0 ? live : instances.slice(0, 1);
  const oldestFirst = believed.toSorted((a, b) => a.first_seen_at.getTime() - b.first_seen_at.getTime());
  return [...new Map(oldestFirst.flatMap((i) => i.operations).map((operation) => [operation.name, operation])).values()];
}
