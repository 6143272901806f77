import { afterAll, describe, expect, it } from '@jest/globals';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { readable } from '../../tools/start/log-lines.js';
import { settingsFrom, urlOf } from '../../tools/start/settings.js';
import { countsOfJest, sum } from '../../tools/test/counts.js';

const scratch = fs.mkdtempSync(path.join(os.tmpdir(), 'concordat-tools-'));
afterAll(() => fs.rmSync(scratch, { recursive: true, force: true }));

describe('the counts of npm test', () => {
  const report = (content: unknown): string => {
    const file = path.join(scratch, 'report.json');
    fs.writeFileSync(file, typeof content === 'string' ? content : JSON.stringify(content));
    return file;
  };

  it('add up what Jest reports', () => {
    const counts = countsOfJest(report({ numPassedTests: 7, numFailedTests: 2, numRuntimeErrorTestSuites: 0 }), 1);
    expect(sum([counts, { passed: 1, failed: 0 }])).toEqual({ passed: 8, failed: 2 });
  });

  it('count a file that could not be loaded as one failure', () => {
    expect(countsOfJest(report({ numPassedTests: 7, numFailedTests: 0, numRuntimeErrorTestSuites: 1 }), 1)).toEqual({ passed: 7, failed: 1 });
  });

  it('never pass a run that failed for another reason, or that left no report', () => {
    expect(countsOfJest(report({ numPassedTests: 7, numFailedTests: 0, numRuntimeErrorTestSuites: 0 }), 1)).toEqual({ passed: 7, failed: 1 });
    expect(countsOfJest(report('{"numPassed'), 0)).toEqual({ passed: 0, failed: 1 });
    expect(countsOfJest(path.join(scratch, 'none.json'), null)).toEqual({ passed: 0, failed: 1 });
  });
});

describe('the log of npm start', () => {
  it('shows a JSON line as time, level, message, error and fields', () => {
    expect(readable('{"level":"warn","time":"2026-01-02T03:04:05.678Z","pid":1,"instance":"x-1","name":"orders","txid":"t-1","err":{"message":"no broker"},"msg":"consumer lost"}')).toBe('03:04:05.678 warn consumer lost no broker txid=t-1');
  });

  it.each(['plain text', '{ not json', '{"a":1}'])('leaves %s as it is', (line) => {
    expect(readable(line)).toBe(line);
  });
});

describe('the settings of npm start', () => {
  it.each([['127.0.0.1', 'http://127.0.0.1:3000'], ['0.0.0.0', 'http://127.0.0.1:3000'], ['::', 'http://[::1]:3000'], ['10.1.2.3', 'http://10.1.2.3:3000']])('reach a service that listens on %s at %s', (HOST, url) => {
    expect(urlOf(settingsFrom({ HOST }), 'coordinator')).toBe(url);
  });

  it('take the ports and databases that are given', () => {
    const settings = settingsFrom({ STOREFRONT_PORT: '4010', ORDERS_DATABASE_URL: 'postgres://db/orders', PAYMENTS_DATABASE_URL: '' });
    expect(settings.ports).toEqual({ coordinator: 3000, orders: 3001, payments: 3002, inventory: 3003, storefront: 4010 });
    expect(settings.databaseUrls).toEqual({ orders: 'postgres://db/orders' });
  });

  it.each([['ORDERS_PORT', 'x'], ['ORDERS_PORT', '-1'], ['ORDERS_PORT', '65536'], ['TRANSPORT', 'pigeon']])('refuse %s=%s by name', (variable, value) => {
    expect(() => settingsFrom({ [variable]: value })).toThrow(`${variable} got "${value}"; it takes`);
  });
});
