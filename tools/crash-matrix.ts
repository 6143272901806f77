// Kills real processes at every crash point there is and audits what is left. Started by crash-matrix.mjs.
import { build } from './build.ts';
import { HELP, parseMatrixOptions, UsageError } from './crash-matrix/options.ts';
import { isSetupError } from './stack/setup-error.ts';
import { untilEnded } from './stack/until-ended.ts';

const say = (line: string): void => void process.stderr.write(`${line}\n`);

const { ending } = untilEnded();
// The reader of our output may be gone before us; that must not keep us from cleaning up.
for (const out of [process.stdout, process.stderr]) out.on('error', () => undefined);

async function main(args: readonly string[]): Promise<number> {
  const options = parseMatrixOptions(args);
  if (options === 'help') {
    process.stdout.write(HELP);
    return 0;
  }
  await build();
  // From dist/, which is there only now.
  const { runMatrix } = await import('./crash-matrix/run.ts');
  return runMatrix(options, { say, print: (text) => void process.stdout.write(`${text}\n`), ending });
}

main(process.argv.slice(2)).then((code) => process.exit(code), (error: unknown) => {
  const isUsage = error instanceof UsageError;
  say(`concordat: ${isUsage || isSetupError(error) ? (error as Error).message : (error as Error).stack}`);
  process.exit(isUsage ? 2 : 1);
});
