// What was measured, and on what: without it a figure cannot be compared with another.
import fs from 'node:fs';
import os from 'node:os';
import { fileURLToPath } from 'node:url';
import type { LoadReport } from './report-types.ts';

type Pool = ReturnType<typeof import('#libs/postgres').createPool>;

const ROOT = new URL('../../', import.meta.url);
/** What decides about durability and memory. */
const POSTGRES_SETTINGS = ['fsync', 'synchronous_commit', 'full_page_writes', 'wal_sync_method', 'shared_buffers', 'max_wal_size'] as const;
const OF_SOMEBODY = 'of the stack at --url';

/** @param postgres null: out of reach */
export async function machineOf(postgres: Pool | null, hasOwnKafka: boolean): Promise<LoadReport['machine']> {
  const cpus = os.cpus();
  return {
    cpus: String(cpus.length), cpu: cpus[0]?.model.trim() ?? 'unknown', memoryGb: String(Math.round(os.totalmem() / 2 ** 30)), os: `${os.type()} ${os.release()} ${os.arch()}`,
    node: process.versions.node, postgres: postgres === null ? OF_SOMEBODY : await postgresVersion(postgres), kafka: hasOwnKafka ? `${kafkaVersion()} (1 broker)` : OF_SOMEBODY,
  };
}

/** The version in package.json, and which sources: the build's own digest of them. */
export function versionOf(): string {
  const { version } = JSON.parse(read('package.json') ?? '{}') as { readonly version?: string };
  const digest = read('dist/.sources.sha256')?.slice(0, 12);
  return `${version ?? 'unknown'}${digest === undefined ? '' : ` (sources ${digest})`}`;
}

async function postgresVersion(pool: Pool): Promise<string> {
  const { rows } = await pool.query<{ name: string; setting: string }>("SELECT name, current_setting(name) AS setting FROM pg_settings WHERE name = ANY ($1)", [['server_version', ...POSTGRES_SETTINGS]]);
  const settings = new Map(rows.map(({ name, setting }) => [name, setting]));
  return `${settings.get('server_version') ?? 'unknown'} (${POSTGRES_SETTINGS.flatMap((name) => (settings.has(name) ? [`${name} ${settings.get(name)!}`] : [])).join(', ')})`;
}

/** The one that Maven is asked for. */
function kafkaVersion(): string {
  return /<artifactId>kafka[^<]*<\/artifactId>\s*<version>([^<]+)</.exec(read('tools/stack/kafka-pom.xml') ?? '')?.[1] ?? 'unknown';
}

function read(file: string): string | null {
  try {
    return fs.readFileSync(fileURLToPath(new URL(file, ROOT)), 'utf8');
  } catch {
    return null;
  }
}
