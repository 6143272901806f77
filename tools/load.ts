// Checkouts at a stack of its own, or at one that runs already: measured, audited, then everything removed. Started by load.mjs.
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { build } from './build.ts';
import type { MeasureSetting } from './load/measure.ts';
import { LOAD_HELP, type LoadCommand, type MeasureOptions, parseLoadOptions } from './load/options.ts';
import { diffReports } from './load/report-diff.ts';
import { ReportError } from './load/report-error.ts';
import { readReport } from './load/report-read.ts';
import { OptionError } from './load/settings.ts';
import { openDataDir } from './stack/data-dir.ts';
import { isSetupError, SetupError } from './stack/setup-error.ts';
import { untilEnded } from './stack/until-ended.ts';

type Measured = Extract<LoadCommand, { readonly kind: 'measure' | 'state' | 'idle' }>;

const say = (line: string): void => void process.stderr.write(`${line}\n`);

const { ending } = untilEnded();
const stopping = new AbortController();
void ending.then(() => stopping.abort());
// The reader of our output may be gone before us (`| head`); that must not keep us from stopping what we have started.
for (const out of [process.stdout, process.stderr]) out.on('error', () => stopping.abort());
const stopped = new Promise<number>((resolve) => stopping.signal.addEventListener('abort', () => resolve(130)));

/** Answers 0, 1 when something does not hold, 2 for options that it does not take, 130 when stopped from outside. */
async function main(args: readonly string[]): Promise<number> {
  const command = parseLoadOptions(args);
  switch (command.kind) {
    case 'help':
      process.stdout.write(LOAD_HELP);
      return 0;
    case 'diff':
      process.stdout.write(`${diffReports(readReport(command.before), readReport(command.after))}\n`);
      return 0;
    case 'measure':
    case 'state':
      refuseUnwritable(command);
      await build();
      return command.target === null ? inFolder(command) : measured(command, null, []);
    case 'idle':
      refuseUnwritable({ ...command, html: null });
      await build();
      return inFolder(command);
  }
}

/** Before minutes of measuring, not after them. */
function refuseUnwritable({ json, html }: Pick<MeasureOptions, 'json' | 'html'>): void {
  for (const [option, file] of [['--json', json], ['--html', html]] as const) {
    if (file === null || file === '-') continue;
    const isNew = !fs.existsSync(file);
    try {
      fs.closeSync(fs.openSync(file, 'a'));
      if (isNew) fs.rmSync(file);
    } catch (error) {
      throw new OptionError(`${option} ${file} cannot be written (${(error as NodeJS.ErrnoException).code})`);
    }
  }
}

/** The data and logs of our own stack are kept only if something was found, or went wrong. */
async function inFolder(options: Measured): Promise<number> {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'concordat-load-'));
  let code = 1;
  const dataDir = await openDataDir(folder, say);
  try {
    code = await measured(options, dataDir, [() => dataDir.close()]);
    return code;
  } finally {
    if (code === 1) say(`data and logs are kept in ${folder}`);
    else fs.rmSync(folder, { recursive: true, force: true });
  }
}

async function measured(options: Measured, dataDir: Awaited<ReturnType<typeof openDataDir>> | null, cleanup: (() => Promise<void>)[]): Promise<number> {
  let fail!: (error: Error) => void;
  const failing = new Promise<never>((_, reject) => { fail = reject; });
  try {
    const measure = await measurement(options, { dataDir, say, isTerminal: process.stderr.isTTY, signal: stopping.signal, onFatal: fail, cleanup });
    const running = measure();
    // Whatever it is in the middle of when it is stopped: everything that it has started is listed, and ended below.
    running.catch(() => undefined);
    return await Promise.race([running, failing, stopped]);
  } finally {
    stopping.abort();
    while (cleanup.length > 0) await cleanup.pop()!().catch((error: Error) => say(`while ending: ${error.message}`));
  }
}

/** Loaded after the build: all of it imports what was built. */
async function measurement(options: Measured, setting: MeasureSetting): Promise<() => Promise<number>> {
  switch (options.kind) {
    case 'measure': return (await import('./load/measure.ts')).measure.bind(null, options, setting);
    case 'state': return (await import('./load/state.ts')).measureState.bind(null, options, setting);
    case 'idle': return (await import('./load/idle.ts')).measureIdle.bind(null, options, setting);
  }
}

main(process.argv.slice(2)).then((code) => process.exit(code), (error: unknown) => {
  const isTheirs = error instanceof OptionError || error instanceof ReportError;
  say(isTheirs ? error.message : `concordat: ${isSetupError(error) ? error.message : (error as Error).stack}`);
  process.exit(isTheirs || (error instanceof SetupError && error.code === 'INVALID_CONFIGURATION') ? 2 : 1);
});
