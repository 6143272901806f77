import { createHash } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { runCommand } from './stack/run-command.ts';
import { SetupError } from './stack/setup-error.ts';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const DIST = path.join(ROOT, 'dist');
const STAMP = '.sources.sha256';
const INPUTS = ['apps', 'libs', 'migrations', 'package-lock.json', 'tsconfig.json', 'tsconfig.build.json'];

/**
 * Compiles everything that runs into dist/, unless dist/ was made from the very same sources. Answers whether there was something to do.
 * The new tree replaces the old one as a whole: nothing stale stays, and no reader meets half a build.
 * @throws SetupError BUILD_FAILED with the compiler's output
 */
export async function build(): Promise<boolean> {
  const hash = hashOfSources();
  if (readStamp() === hash) return false;
  // Beside dist/ and as deep as it: the source maps hold relative paths.
  const draft = path.join(ROOT, `dist.draft-${process.pid}`);
  fs.rmSync(draft, { recursive: true, force: true });
  try {
    const tsc = path.join(ROOT, 'node_modules', '@typescript', 'native', 'bin', 'tsc');
    const { code, output } = await runCommand(process.execPath, [tsc, '-p', 'tsconfig.build.json', '--outDir', draft], { cwd: ROOT });
    if (code !== 0) throw new SetupError('BUILD_FAILED', `the build failed:\n${output.trim()}`);
    fs.writeFileSync(path.join(draft, STAMP), hash);
    replace(draft);
  } finally {
    fs.rmSync(draft, { recursive: true, force: true });
  }
  return true;
}

function replace(draft: string): void {
  const old = `${draft}.old`;
  if (fs.existsSync(DIST)) fs.renameSync(DIST, old);
  fs.renameSync(draft, DIST);
  fs.rmSync(old, { recursive: true, force: true });
}

function readStamp(): string | null {
  try {
    return fs.readFileSync(path.join(DIST, STAMP), 'utf8');
  } catch {
    return null;
  }
}

function hashOfSources(): string {
  const hash = createHash('sha256');
  for (const input of INPUTS) {
    for (const file of filesOf(path.join(ROOT, input))) hash.update(`${path.relative(ROOT, file)}\0`).update(fs.readFileSync(file)).update('\0');
  }
  return hash.digest('hex');
}

function filesOf(entry: string): readonly string[] {
  if (!fs.existsSync(entry)) return [];
  if (fs.statSync(entry).isFile()) return [entry];
  return fs.readdirSync(entry, { recursive: true, withFileTypes: true })
    .filter((file) => file.isFile() && file.name.endsWith('.ts') && !file.name.endsWith('.spec.ts'))
    .map((file) => path.join(file.parentPath, file.name))
    .sort();
}
