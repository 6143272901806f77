// Runs a program of apps/simulator, built first; its name is the first argument. Started by the .mjs file of that name.
import path from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { build } from './build.ts';
import { isSetupError } from './stack/setup-error.ts';

const PROGRAMS = fileURLToPath(new URL('../dist/apps/simulator/src/', import.meta.url));
/** What a program tells when it is stopped before its end. */
let onStop: () => void = () => {};
const stop = (): void => {
  onStop();
  process.exit(130);
};
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, stop);
process.on('disconnect', stop);

/** Answers the program's exit code; 2 for options that it does not take. */
async function main([name, ...args]: readonly string[]): Promise<number> {
  await build();
  const program = await import(pathToFileURL(path.join(PROGRAMS, `${name}.js`)).href);
  onStop = program.onStop ?? onStop;
  try {
    return await program.main(args);
  } catch (error) {
    if ((error as { readonly code?: string }).code !== 'INVALID_OPTION') throw error;
    process.stderr.write(`concordat: ${(error as Error).message}\n`);
    return 2;
  }
}

main(process.argv.slice(2)).then((code) => process.exit(code), (error: unknown) => {
  process.stderr.write(`concordat: ${isSetupError(error) ? error.message : (error as Error).stack}\n`);
  process.exit(1);
});
