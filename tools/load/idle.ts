// What a stack costs that nobody asks for anything.
import fs from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { type IdleReport, idleUses, renderIdle } from './idle-report.ts';
import { versionOf } from './machine.ts';
import type { MeasureSetting } from './measure.ts';
import type { IdleOptions } from './options.ts';
import { useOf } from './proc.ts';
import { startOwnStack } from './stack.ts';

export async function measureIdle(options: IdleOptions, { dataDir, say, cleanup, onFatal, signal }: MeasureSetting): Promise<number> {
  const { seconds, settleSeconds, environment, json } = options;
  say('starting PostgreSQL, Kafka and the services ...');
  const stack = await startOwnStack({ dataDir: dataDir!, options: { configurations: [], environment, localPool: 1 }, say, onFatal }, cleanup);
  say(`letting it settle for ${settleSeconds} s`);
  await sleep(settleSeconds * 1000, undefined, { signal });
  say(`measuring for ${seconds} s`);
  const before = useOf(stack.pids());
  const startedMs = performance.now();
  await sleep(seconds * 1000, undefined, { signal });
  const after = useOf(stack.pids());
  const processes = idleUses(before, after, (performance.now() - startedMs) / 1000);
  const report: IdleReport = {
    format: 1, kind: 'idle', at: new Date().toISOString(), version: versionOf(), machine: stack.machine, environment, seconds, settleSeconds,
    processes, coreShareInAll: processes.reduce((sum, { coreShare }) => sum + coreShare, 0),
  };
  const text = `${JSON.stringify(report, null, 2)}\n`;
  process.stdout.write(json === '-' ? text : `${renderIdle(report)}\n`);
  if (json !== null && json !== '-') fs.writeFileSync(json, text);
  return 0;
}
