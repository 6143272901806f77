import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { openDataDir } from '../../tools/stack/data-dir.ts';
import { type Postgres, startPostgres } from '../../tools/stack/postgres.ts';

export interface OwnPostgres {
  /** For `adminUrls` of a cluster. */
  readonly adminUrl: string;
  /** It alone can be stopped, killed and started again, on the same port. */
  readonly server: Postgres;
  /** Ends it and removes its data. */
  remove(): Promise<void>;
}

/** A Postgres server of its own, empty, beside the one that all tests share. Takes about a second. */
export async function startOwnPostgres(): Promise<OwnPostgres> {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'concordat-postgres-'));
  const dataDir = await openDataDir(folder, () => undefined);
  const server = await startPostgres(dataDir, { log: () => undefined });
  return {
    adminUrl: server.adminUrl,
    server,
    async remove() {
      await server.stop();
      await dataDir.close();
      fs.rmSync(folder, { recursive: true, force: true });
    },
  };
}
