import { randomBytes } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { identityOf, isRunning } from './process-identity.ts';
import { endLeftovers, ProcessRecords } from './process-records.ts';
import { SetupError } from './setup-error.ts';
import { Watchdog } from './watchdog.ts';

interface Holder {
  readonly pid: number;
  readonly identity: string;
}

/** A data folder that this process alone uses, until `close`. */
export interface DataDir {
  readonly path: string;
  readonly records: ProcessRecords;
  file(...names: string[]): string;
  /** Ends everything still recorded, then lets others have the folder. */
  close(): Promise<void>;
}

/**
 * Makes the folder if needed, takes it for this process, and ends what a killed earlier owner left running.
 * @throws SetupError DATA_DIR_UNWRITABLE, or DATA_DIR_IN_USE when another start holds it
 */
export async function openDataDir(dir: string, log: (line: string) => void): Promise<DataDir> {
  const root = makeWritable(path.resolve(dir));
  const lock = path.join(root, 'run', 'lock');
  await takeLock(lock, root);
  try {
    await endLeftovers(path.join(root, 'run'), log);
  } catch (error) {
    fs.rmSync(lock, { force: true });
    throw error;
  }
  const records = new ProcessRecords(path.join(root, 'run'), new Watchdog());
  return {
    path: root,
    records,
    file: (...names) => path.join(root, ...names),
    async close() {
      await records.close();
      fs.rmSync(lock, { force: true });
    },
  };
}

function makeWritable(root: string): string {
  try {
    for (const dir of [root, path.join(root, 'run'), path.join(root, 'logs')]) fs.mkdirSync(dir, { recursive: true });
    const probe = path.join(root, 'run', `probe-${process.pid}`);
    fs.writeFileSync(probe, '');
    fs.unlinkSync(probe);
    return fs.realpathSync(root);
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    throw new SetupError('DATA_DIR_UNWRITABLE', `The data folder ${root} cannot be written to (${code}): make it writable for this user, or set CONCORDAT_DATA_DIR to a folder that is.`);
  }
}

/** The complete content appears under the name at once, by `link`, and only for one of many who race. */
async function takeLock(lock: string, root: string): Promise<void> {
  const me: Holder = { pid: process.pid, identity: identityOf(process.pid) ?? '' };
  const draft = `${lock}.${process.pid}.${randomBytes(4).toString('hex')}`;
  fs.writeFileSync(draft, JSON.stringify(me));
  try {
    for (let attempt = 0; attempt < 50; attempt += 1) {
      if (tryLink(draft, lock)) return;
      const seen = readHolder(lock);
      if (seen !== null && isRunning(seen.pid, seen.identity)) throw inUse(root, seen.pid);
      if (seen !== null) removeStale(lock, seen);
      await sleep(10);
    }
    throw inUse(root, readHolder(lock)?.pid);
  } finally {
    fs.rmSync(draft, { force: true });
  }
}

function inUse(root: string, pid: number | undefined): SetupError {
  return new SetupError('DATA_DIR_IN_USE', `Another start (process ${pid ?? 'unknown'}) is using the data folder ${root}: stop it first, or set CONCORDAT_DATA_DIR to another folder.`);
}

function tryLink(draft: string, lock: string): boolean {
  try {
    fs.linkSync(draft, lock);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw error;
  }
}

/** Moved aside first and looked at again: between the look and the removal somebody else may have taken it. */
function removeStale(lock: string, seen: Holder): void {
  const aside = `${lock}.${process.pid}.stale`;
  try {
    fs.renameSync(lock, aside);
  } catch {
    return;
  }
  const moved = readHolder(aside);
  if (moved !== null && moved.identity !== seen.identity) tryLink(aside, lock);
  fs.rmSync(aside, { force: true });
}

function readHolder(file: string): Holder | null {
  try {
    return JSON.parse(fs.readFileSync(file, 'utf8')) as Holder;
  } catch {
    return null;
  }
}
