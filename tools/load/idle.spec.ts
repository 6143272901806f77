import { describe, expect, it } from '@jest/globals';
import { type IdleReport, idleUses, renderIdle } from './idle-report.ts';

const use = (cpuSeconds: number) => ({ cpuSeconds, rssMb: 100 });

describe('an idle stack', () => {
  const processes = idleUses(new Map([['coordinator', use(5)], ['kafka', use(20)]]), new Map([['coordinator', use(5.3)], ['kafka', use(21.2)]]), 30);

  it('takes a share of one core, each process and in all', () => {
    expect(processes.map(({ name, coreShare }) => [name, Number(coreShare.toFixed(4))])).toEqual([['coordinator', 0.01], ['kafka', 0.04]]);
    const report: IdleReport = {
      format: 1, kind: 'idle', at: 'now', version: '0.1.0', machine: { cpus: '2', cpu: 'C', memoryGb: '8', os: 'Linux', node: '22', postgres: '18', kafka: '4' }, environment: { TICK_MS: '9' },
      seconds: 30, settleSeconds: 15, processes, coreShareInAll: 0.05,
    };
    const text = renderIdle(report);
    expect(text).toMatch(/coordinator +0\.300 +1\.0 % +100/);
    expect(text).toMatch(/in all +1\.50 +5\.0 % +200/);
    expect(text).toContain('set: TICK_MS=9');
  });
});
