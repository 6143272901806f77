import { describe, expect, it } from '@jest/globals';
import { optionsFrom } from '../../tools/takeover/options.js';
import { type Report, reportText, spreadOf } from '../../tools/takeover/report.js';

describe('options of the take-over measurement', () => {
  it('have defaults', () => {
    expect(optionsFrom([])).toEqual({ kills: 20, stops: 5, rate: 40, sessionTimeoutMs: null, heartbeatMs: null, restartAtOnce: false, roles: ['coordinator', 'participant'], json: false });
  });

  it('can all be given', () => {
    expect(optionsFrom(['--kills', '3', '--stops', '0', '--rate', '100', '--session-timeout', '1000', '--heartbeat', '100', '--restart-at-once', '--role', 'participant', '--json']))
      .toEqual({ kills: 3, stops: 0, rate: 100, sessionTimeoutMs: 1_000, heartbeatMs: 100, restartAtOnce: true, roles: ['participant'], json: true });
  });

  it('ask for help with --help', () => {
    expect(optionsFrom(['--kills', '3', '--help'])).toBeNull();
  });

  it.each([[['--kills']], [['--kills', 'many']], [['--rate', '0']], [['--role', 'acceptor']], [['--kils', '3']]])('are refused by name: %j', (args) => {
    expect(() => optionsFrom(args)).toThrow(expect.objectContaining({ code: 'INVALID_CONFIGURATION', message: expect.stringContaining(args[0]!) as unknown }));
  });
});

describe('the report of the take-over measurement', () => {
  it('tells the middle of an odd and of an even number of rounds', () => {
    expect(spreadOf([9, 1, 5])).toEqual({ min: 1, median: 5, max: 9 });
    expect(spreadOf([9, 1, 5, 6])).toEqual({ min: 1, median: 6, max: 9 });
    expect(spreadOf([])).toBeNull();
  });

  it('tells what is broken', () => {
    const audit = { ok: false, transactions: { total: 2, committed: 1, aborted: 1, byProtocol: {} }, checks: [{ name: 'money is conserved', ok: false, detail: '7 cents missing', offenders: [] }, { name: 'stock is conserved', ok: true, detail: '', offenders: [] }] };
    const report: Report = { options: optionsFrom([])!, sessionTimeoutMs: 3_000, heartbeatMs: 250, roles: [], answers: 2, audit };
    expect(reportText(report)).toContain('audit: VIOLATIONS; 2 transactions, 1 committed, 1 aborted, 2 answers compared\n  money is conserved: 7 cents missing');
    expect(reportText(report)).not.toContain('stock');
  });
});
