import { describe, expect, it } from '@jest/globals';
import { machineOf, versionOf } from './machine.js';

describe('what a report says of where it was measured', () => {
  it('has the machine and the versions of what we start ourselves', async () => {
    const machine = await machineOf(null, true);
    expect(machine.node).toBe(process.versions.node);
    expect(Number(machine.cpus)).toBeGreaterThan(0);
    expect(machine.kafka).toMatch(/^\d+\.\d+\.\d+ \(1 broker\)$/);
    expect(versionOf()).toMatch(/^\d+\.\d+\.\d+/);
  });

  it('says what is not known of a stack that runs already', async () => {
    expect(await machineOf(null, false)).toMatchObject({ postgres: 'of the stack at --url', kafka: 'of the stack at --url' });
  });
});
