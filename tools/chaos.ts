// Real processes under load while everything around them fails; see chaos/options.ts. Started by chaos.mjs.
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { build } from './build.ts';
import { CHAOS_HELP, type ChaosOptions, OptionError, parseChaosOptions } from './chaos/options.ts';
import { describeFault, makeSchedule } from './chaos/schedule.ts';
import { openDataDir } from './stack/data-dir.ts';
import { isSetupError } from './stack/setup-error.ts';

const say = (line: string): void => void process.stderr.write(`${line}\n`);
const stopping = new AbortController();
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  process.on(signal, () => {
    if (!stopping.signal.aborted) say('stopping ...');
    stopping.abort();
  });
}
process.on('disconnect', () => stopping.abort());

async function start(argv: readonly string[]): Promise<number> {
  const options = parseChaosOptions(argv);
  if (options === 'help') {
    process.stdout.write(CHAOS_HELP);
    return 0;
  }
  if (options.plan) {
    for (const fault of makeSchedule(options)) process.stdout.write(`${String(fault.n).padStart(3)}  ${(fault.atMs / 1000).toFixed(1).padStart(7)} s  ${describeFault(fault)}\n`);
    return 0;
  }
  await build();
  return inDataDir(options);
}

/** A temporary folder is kept only if something was found; of servers' data nothing is kept then but the logs. */
async function inDataDir(options: ChaosOptions): Promise<number> {
  const folder = options.dataDir ?? fs.mkdtempSync(path.join(os.tmpdir(), 'concordat-chaos-'));
  const dataDir = await openDataDir(folder, say);
  const undo: (() => Promise<void>)[] = [() => dataDir.close()];
  let code = 1;
  try {
    const { main } = await import('./chaos/main.ts');
    const running = main(options, { dataDir, log: say, signal: stopping.signal, undo });
    // Whatever it is in the middle of: everything that it has started is listed, and ended below.
    const stopped = new Promise<number>((resolve) => stopping.signal.addEventListener('abort', () => resolve(130)));
    running.catch(() => undefined);
    code = await Promise.race([running, stopped]);
    return code;
  } finally {
    while (undo.length > 0) await undo.pop()!().catch((error: Error) => say(`while ending: ${error.message}`));
    if (options.dataDir === null && code !== 1) fs.rmSync(folder, { recursive: true, force: true });
  }
}

start(process.argv.slice(2)).then((code) => process.exit(code), (error: unknown) => {
  if (stopping.signal.aborted) process.exit(130);
  say(error instanceof OptionError ? error.message : `concordat: ${isSetupError(error) ? error.message : (error as Error).stack}`);
  process.exit(error instanceof OptionError ? 2 : 1);
});
