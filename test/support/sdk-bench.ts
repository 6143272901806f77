import { randomUUID } from 'node:crypto';
import { defineParticipant, ParticipantHandlerRunner } from '#libs/participant';
import { migrate, TypeOrmBranchStore } from '#libs/postgres';
import type { Json, Txid } from '#libs/protocol';
import type { HandlerCall, HandlerResult } from '#libs/runtime';
import { DataSource } from 'typeorm';

/** One participant's handlers over a database of their own, without driver and transport. */
export class SdkBench {
  private constructor(readonly db: DataSource, private readonly store: TypeOrmBranchStore, private readonly runner: ParticipantHandlerRunner) {}

  static async open(role: Parameters<typeof migrate>[1], participant: object, entities: Function[] = []): Promise<SdkBench> {
    const url = new URL(process.env.PG_ADMIN_URL!);
    url.pathname = `/sdk_${randomUUID().replaceAll('-', '')}`;
    await migrate(url.href, role);
    const db = await new DataSource({ type: 'postgres', url: url.href, entities: entities as never, poolSize: 6, extra: { pipeline: true } }).initialize();
    const store = new TypeOrmBranchStore(db);
    return new SdkBench(db, store, new ParticipantHandlerRunner(defineParticipant(role, [participant]), { isTransient: (error) => store.isTransient(error) }));
  }

  /** One batch in one local transaction; what each call got: a vote, a reason code, `done` or `failed`. */
  async run(...calls: readonly HandlerCall[]): Promise<readonly string[]> {
    return (await this.results(calls)).map(said);
  }

  results(calls: readonly HandlerCall[]): Promise<readonly HandlerResult[]> {
    return this.store.transact((tx) => this.runner.run(tx, calls));
  }

  async rows<Row>(sql: string, values: unknown[] = []): Promise<Row[]> {
    return this.db.query(sql, values);
  }

  /** Deadlocks that Postgres had to break since the database was made. */
  async deadlocks(): Promise<string> {
    const [row] = await this.rows<{ deadlocks: string }>('SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()');
    return row!.deadlocks;
  }

  close(): Promise<void> {
    return this.db.destroy();
  }
}

function said(result: HandlerResult): string {
  return result.ok ? result.vote?.reason?.code ?? result.vote?.vote ?? 'done' : 'failed';
}

/** A call for a branch of its own. */
export const handlerCall = (action: HandlerCall['action'], operation: string, payload: Json): HandlerCall => (
  { action, protocol: action === 'execute' || action === 'compensate' ? 'saga' : '2pc', operation, payload, inputs: {}, result: null, txid: randomUUID() as Txid, branch: 0 }
);

/** The same branches, further on. */
export const inAction = (action: HandlerCall['action'], calls: readonly HandlerCall[]): readonly HandlerCall[] => calls.map((call) => ({ ...call, action }));
