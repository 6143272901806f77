import { ConcordatClient } from '#libs/client';
import { checkoutRequest } from '#libs/shop/checkout';
import { checkoutSource } from './checkouts.js';
import { type Ending, endingOf, runClosedLoop } from './closed-loop.js';
import { cpuSeconds } from './cpu.js';
import { localCheckouts } from './local-transaction.js';
import { offerCheckouts, renderOpenLoop } from './offer-checkouts.js';
import { LOAD_HELP, type LoadOptions, OptionError, parseLoadOptions } from './options.js';
import { type LoadRun, renderTable } from './report.js';

async function main(): Promise<number> {
  const options = parseLoadOptions(process.argv.slice(2), process.env);
  if (options === 'help') {
    process.stdout.write(LOAD_HELP);
    return 0;
  }
  if (options.ratePerSecond !== null) {
    const result = await offerCheckouts(options, options.ratePerSecond);
    process.stdout.write(options.json ? `${JSON.stringify(result, null, 2)}\n` : `\n${renderOpenLoop(result)}\n`);
    return result.endings.unknown === 0 ? 0 : 1;
  }
  const runs = await measure(options);
  process.stdout.write(options.json ? `${JSON.stringify({ runs }, null, 2)}\n` : `\n${renderTable(runs)}\n`);
  return runs.some((run) => run.result.endings.unknown > 0) ? 1 : 0;
}

/** The two ways in turn at each concurrency, so that both meet the same machine. */
async function measure(options: LoadOptions): Promise<LoadRun[]> {
  const watch = new Map([...options.watch, ['load', process.pid]]);
  const next = checkoutSource(`l${Date.now().toString(36)}`);
  const client = new ConcordatClient({ urls: options.coordinatorUrls, token: options.token, gather: options.http === 'gathered' });
  const local = options.localDatabaseUrl === null ? null : await localCheckouts(options.localDatabaseUrl, options.localPool);
  const runs: LoadRun[] = [];
  const run = async (way: LoadRun['way'], concurrency: number, attempt: () => Promise<Ending>): Promise<void> => {
    process.stderr.write(`${way}, ${concurrency} clients, ${options.warmupSeconds} + ${options.seconds} s ...`);
    const result = await runClosedLoop({ concurrency, seconds: options.seconds, warmupSeconds: options.warmupSeconds, attempt, cpuSeconds: () => cpuSeconds(watch) });
    process.stderr.write(` ${result.perSecond.toFixed(0)}/s\n`);
    runs.push({ way, result });
  };
  try {
    for (const concurrency of options.concurrencies) {
      if (local !== null) await run('local transaction', concurrency, () => local.attempt(next()));
      await run(`concordat ${options.protocol}, ${options.http}`, concurrency, async () => endingOf((await client.run(checkoutRequest(options.protocol, next()))).outcome));
    }
  } finally {
    await client.close();
    await local?.close();
  }
  return runs;
}

main().then((code) => { process.exitCode = code; }, (error: unknown) => {
  process.stderr.write(`${error instanceof OptionError ? error.message : (error as Error).stack}\n`);
  process.exitCode = 2;
});
