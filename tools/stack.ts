import { openDataDir } from './stack/data-dir.ts';
import { type Kafka, startKafka } from './stack/kafka.ts';
import { type Postgres, startPostgres } from './stack/postgres.ts';

export interface StackOptions {
  /** Holds everything of both servers; made when it is not there. */
  readonly dataDir: string;
  readonly kafka: boolean;
  readonly log: (line: string) => void;
  /** Wanted ports; one that is taken, or not given, becomes any free one. */
  readonly ports?: { readonly postgres?: number; readonly kafka?: number; readonly kafkaController?: number };
}

export interface Stack {
  readonly postgres: Postgres;
  /** Null when not wanted. */
  readonly kafka: Kafka | null;
  /** Ends both servers cleanly and lets go of the data folder. */
  stop(): Promise<void>;
}

/**
 * Real servers for development, tests and load: PostgreSQL 18 and (if wanted) Apache Kafka 4.1, both durable, both on 127.0.0.1. They end
 * with this process, however it ends.
 * @throws SetupError with one line that says what is missing and what to do
 */
export async function startStack(options: StackOptions): Promise<Stack> {
  const { ports = {}, log } = options;
  const dataDir = await openDataDir(options.dataDir, log);
  const [postgres, kafka] = await Promise.allSettled([
    startPostgres(dataDir, { port: ports.postgres, log }),
    options.kafka ? startKafka(dataDir, { ports: { client: ports.kafka, controller: ports.kafkaController }, log }) : null,
  ]);
  const stop = async (): Promise<void> => {
    await Promise.all([postgres, kafka].map(async (server) => { if (server.status === 'fulfilled') await server.value?.stop(); }));
    await dataDir.close();
  };
  if (postgres.status === 'rejected' || kafka.status === 'rejected') {
    await stop();
    throw postgres.status === 'rejected' ? postgres.reason : (kafka as PromiseRejectedResult).reason;
  }
  return { postgres: postgres.value, kafka: kafka.value, stop };
}
