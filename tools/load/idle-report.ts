// What a stack costs that nobody asks for anything, as it is told.
import type { useOf } from './proc.ts';
import type { LoadReport } from './report-types.ts';
import { figure, percent } from '../report/numbers.ts';
import { table } from '../report/text.ts';

export interface IdleReport {
  readonly format: 1;
  readonly kind: 'idle';
  readonly at: string;
  readonly version: string;
  readonly machine: LoadReport['machine'];
  readonly environment: Readonly<Record<string, string>>;
  readonly seconds: number;
  /** Between the start of everything and the measured time. */
  readonly settleSeconds: number;
  readonly processes: readonly IdleUse[];
  /** Of one core: 1 is all of it. */
  readonly coreShareInAll: number;
}

export interface IdleUse {
  readonly name: string;
  readonly cpuSeconds: number;
  /** Of one core: 1 is all of it. */
  readonly coreShare: number;
  readonly rssMb: number;
}

type Use = ReturnType<typeof useOf>;

export function idleUses(before: Use, after: Use, seconds: number): readonly IdleUse[] {
  return [...after].map(([name, { cpuSeconds, rssMb }]) => {
    const used = cpuSeconds - (before.get(name)?.cpuSeconds ?? 0);
    return { name, cpuSeconds: used, coreShare: used / seconds, rssMb };
  });
}

export function renderIdle({ at, version, machine, environment, seconds, settleSeconds, processes, coreShareInAll }: IdleReport): string {
  const set = Object.entries(environment).map(([name, value]) => `${name}=${value}`).join(' ');
  return [
    `${at}, Concordat ${version}: the stack without work, ${seconds} s after ${settleSeconds} s of rest`,
    `${machine.cpus} x ${machine.cpu}, ${machine.memoryGb} GB, ${machine.os}; Node ${machine.node}, Postgres ${machine.postgres}, Kafka ${machine.kafka}`,
    ...(set === '' ? [] : [`set: ${set}`]),
    '',
    ...table(['', 'CPU s', 'of one core', 'MB'], [
      ...processes.map(({ name, cpuSeconds, coreShare, rssMb }) => [name, figure(cpuSeconds), percent(coreShare), figure(rssMb)]),
      ['in all', figure(processes.reduce((sum, { cpuSeconds }) => sum + cpuSeconds, 0)), percent(coreShareInAll), figure(processes.reduce((sum, { rssMb }) => sum + rssMb, 0))],
    ]),
  ].join('\n');
}
