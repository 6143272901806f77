import { describe, expect, it } from '@jest/globals';
import { CHAOS_HELP, parseChaosOptions } from './options.js';
import { KINDS } from './schedule.js';

describe('the options of npm run chaos', () => {
  it('have defaults for each command', () => {
    expect(parseChaosOptions(['--seed', '7'])).toMatchObject({ command: 'run', minutes: 5, seed: 7, ratePerSecond: 50, kinds: KINDS, json: null, html: null, dataDir: null });
    expect(parseChaosOptions(['soak'])).toMatchObject({ command: 'soak', minutes: 30, rateGiven: false });
    expect(parseChaosOptions(['overload'])).toMatchObject({ command: 'overload', seconds: 60 });
    expect(parseChaosOptions(['slow-participant', '--seconds', '10'])).toMatchObject({ command: 'slow-participant', seconds: 10 });
  });

  it('take protocols with weights, and kinds of faults', () => {
    expect(parseChaosOptions(['--protocols', '2pc=3,saga', '--faults', 'kill,stop'])).toMatchObject({ protocols: new Map([['2pc', 3], ['saga', 1]]), kinds: ['kill', 'stop'] });
  });

  it.each([
    [['--minutes', '0'], '--minutes takes a number from 0.5 to 1440, got "0"'],
    [['--seed', '1.5'], '--seed takes a whole number'],
    [['--protocols', '4pc'], '--protocols takes 2pc, 3pc, paxos-commit, saga, got "4pc"'],
    [['--faults', 'flood'], '--faults takes kill, '],
    [['party'], 'unknown command "party"'],
    [['--colour'], "Unknown option '--colour'"],
  ])('refuse %j by name', (argv, message) => {
    expect(() => parseChaosOptions(argv)).toThrow(message);
  });

  it('are all explained', () => {
    expect(parseChaosOptions(['--help'])).toBe('help');
    for (const option of ['minutes', 'seconds', 'seed', 'rate', 'protocols', 'faults', 'plan', 'json', 'html', 'data-dir']) expect(CHAOS_HELP).toContain(`--${option} `);
  });
});
