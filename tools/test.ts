// Everything that can be checked, in one run. Started by test.mjs.
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from './build.ts';
import { runCommand } from './stack/run-command.ts';
import { type Counts, countsOfJest, sum } from './test/counts.ts';
import { runInGroup } from './test/run-in-group.ts';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const PASSED: Counts = { passed: 1, failed: 0 };
const FAILED: Counts = { passed: 0, failed: 1 };
const NOTHING: Counts = { passed: 0, failed: 0 };
const LINTED = ['apps', 'libs', 'test', 'tools', 'migrations'];

// Ending this process closes its channel to a running group, which ends it; servers have their own watchdog.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => process.exit(130));
process.on('disconnect', () => process.exit(130));

const reports = fs.mkdtempSync(path.join(os.tmpdir(), 'concordat-test-'));
process.once('exit', () => fs.rmSync(reports, { recursive: true, force: true }));

async function main(): Promise<Counts> {
  const results = [
    await section('types', () => program(['node_modules/@typescript/native/bin/tsc', '--noEmit', '-p', 'tsconfig.json'])),
    await section('lint', () => program(['node_modules/oxlint/bin/oxlint', '--type-aware', '-D', 'typescript/no-floating-promises', ...LINTED])),
    await section('unit', () => jest('unit')),
    await section('build', buildAll),
  ];
  const built = results.at(-1)!.failed === 0;
  if (built) results.push(await section('e2e', () => jest('e2e', ['--runInBand', '--forceExit'])));
  else console.log('\n== e2e: not run, because there is nothing built to run');
  return sum(results);
}

async function section(name: string, run: () => Promise<Counts>): Promise<Counts> {
  console.log(`\n== ${name}`);
  const began = Date.now();
  const counts = await run();
  const verdict = counts.failed === 0 ? 'ok' : 'FAILED';
  console.log(`== ${name}: ${verdict}${counts.passed + counts.failed > 1 ? `, ${counts.passed} passed, ${counts.failed} failed` : ''} (${((Date.now() - began) / 1000).toFixed(1)} s)`);
  return counts;
}

/** A check that is one pass or one failure; what it says is shown when it fails. */
async function program(args: readonly string[]): Promise<Counts> {
  const { code, output } = await runCommand(process.execPath, args, { cwd: ROOT });
  if (code === 0) return PASSED;
  process.stdout.write(output);
  return FAILED;
}

/** Not a test: counted only when it fails. */
async function buildAll(): Promise<Counts> {
  try {
    if (!(await build())) console.log('unchanged since the last build');
    return NOTHING;
  } catch (error) {
    console.log((error as Error).message);
    return FAILED;
  }
}

/** e2e is ended when its report is written: after a failure a connection may still be open, which would keep the run from ending. */
async function jest(project: 'unit' | 'e2e', more: readonly string[] = []): Promise<Counts> {
  const report = path.join(reports, `${project}.json`);
  const args = ['--experimental-vm-modules', '--disable-warning=ExperimentalWarning', 'node_modules/jest/bin/jest.js', '--ci', `--selectProjects=${project}`, '--json', `--outputFile=${report}`, ...more];
  return countsOfJest(report, await runInGroup(process.execPath, args, process.env));
}

const counts = await main();
console.log(`\n${counts.passed} passed, ${counts.failed} failed`);
process.exit(counts.failed === 0 ? 0 : 1);
