import { describe, expect, it } from '@jest/globals';
import { LOAD_HELP, type MeasureOptions, parseLoadOptions } from './options.js';
import { PRESETS } from './presets.js';
import { FIELD_NAMES, nameOf } from './settings.js';

function measure(...argv: string[]): MeasureOptions {
  const command = parseLoadOptions(argv);
  if (command.kind !== 'measure') throw new Error(`is ${command.kind}`);
  return command;
}

const names = (...argv: string[]): readonly string[] => measure(...argv).configurations.map(nameOf);

describe('the options of npm run load', () => {
  it('takes a store to fill, and one configuration to measure on it', () => {
    const command = parseLoadOptions(['state', '--finished', '5000', '--seconds', '4']);
    expect(command).toMatchObject({ kind: 'state', finished: 5_000, unfinished: 10_000, rounds: 3, configurations: [{ way: 'sdk', loop: { kind: 'closed', clients: 256 }, seconds: 4 }] });
    for (const [args, said] of [
      [['state', '--way', 'sdk,http'], 'state takes one configuration'], [['state', '--way', 'local'], 'state takes one configuration'], [['state', '--url', 'http://a'], '--url does not go with state'],
      [['--finished', '5'], '--finished is for state'], [['idle', '--clients', '5'], '--clients does not go with idle'],
    ] as const) expect(() => parseLoadOptions(args)).toThrow(said);
    expect(parseLoadOptions(['idle', '--seconds', '5', '--json'])).toEqual({ kind: 'idle', seconds: 5, settleSeconds: 15, environment: {}, json: '-' });
  });

  it('measure 2pc beside the local transaction in closed loops, unless told otherwise', () => {
    expect(names()).toEqual([
      'local, 1 client', '2pc, sdk, 1 client', 'local, 16 clients', '2pc, sdk, 16 clients', 'local, 64 clients', '2pc, sdk, 64 clients', 'local, 256 clients', '2pc, sdk, 256 clients',
    ]);
    expect(measure()).toMatchObject({ rounds: 1, ramp: null, localPool: 16, drainSeconds: 60, target: null, json: null, html: null });
    expect(measure().configurations[0]).toMatchObject({ seconds: 10, warmupSeconds: 3, workers: 1 });
  });

  it('still take the options of before', () => {
    const old = ['--protocol', '3pc', '--concurrency', '8', '--seconds', '4', '--warmup', '1', '--local-pool', '9', '--http', 'one', '--json'];
    expect(names(...old)).toEqual(['local, 8 clients', '3pc, http, 8 clients']);
    expect(measure(...old)).toMatchObject({ localPool: 9, json: '-' });
    expect(names('--rate', '200', '--http', 'gathered')).toEqual(['2pc, sdk, 200/s']);
  });

  it('take a bare --json before another option, and a file behind it', () => {
    expect(measure('--json', '--clients', '1').json).toBe('-');
    expect(measure('--json', 'run.json').json).toBe('run.json');
    expect(measure('--json', '-').json).toBe('-');
  });

  it('make every combination of lists, the local ways once for all protocols', () => {
    expect(names('--clients', '8', '--way', 'local,sdk', '--protocol', '2pc,saga')).toEqual(['local, 8 clients', '2pc, sdk, 8 clients', 'saga, sdk, 8 clients']);
  });

  it('have nothing local to compare with, when it is not the whole checkout', () => {
    expect(names('--participants', '5', '--clients', '1')).toEqual(['2pc, sdk, 1 client, 5 participants']);
  });

  it('name what is not as usual', () => {
    expect(names('--clients', '8', '--way', 'batch', '--participants', '5', '--refusals', '0.1', '--skew', 'zipf=0.99', '--payload', '1000', '--batch', '10', '--workers', '2'))
      .toEqual(['2pc, batch, 8 clients, 5 participants, 10 % refused, zipf 0.99, 1000 B, batches of 10, 2 generators']);
  });

  it('give no worker without a client', () => {
    expect(measure('--clients', '2', '--workers', '8').configurations[0]!.workers).toBe(2);
    expect(measure('--rate', '2', '--workers', '8').configurations[0]!.workers).toBe(8);
  });

  it('begin a ramp with an open loop of one configuration', () => {
    expect(measure('--ramp').ramp).toEqual({ factor: 1.25, held: null });
    expect(measure('--ramp', '--of-knee', '0.7').ramp).toEqual({ factor: 1.25, held: { share: 0.7, seconds: 120 } });
    expect(measure('--ramp', '--of-knee', '0.5', '--of-knee-seconds', '30').ramp!.held).toEqual({ share: 0.5, seconds: 30 });
    expect(names('--ramp')).toEqual(['2pc, sdk, 50/s']);
    expect(names('--ramp', '--rate', '300', '--way', 'http')).toEqual(['2pc, http, 300/s']);
  });

  it('compare presets and runs, each once', () => {
    expect(names('compare', '--presets', 'protocols', '--clients', '32')).toEqual(['2pc, sdk, 32 clients', '3pc, sdk, 32 clients', 'paxos-commit, sdk, 32 clients', 'saga, sdk, 32 clients']);
    expect(names('compare', '--run', 'way=sdk,clients=256', '--run', 'clients=64,protocol=3pc', '--run', 'protocol=3pc')).toEqual(['2pc, sdk, 256 clients', '3pc, sdk, 64 clients']);
    expect(measure('compare', '--presets', 'monolith').rounds).toBe(3);
  });

  it('let a run have the other kind of loop', () => {
    expect(names('compare', '--rate', '100', '--run', 'clients=8', '--run', 'skew=zipf=1.2')).toEqual(['2pc, sdk, 8 clients', '2pc, sdk, 100/s, zipf 1.2']);
    expect(names('compare', '--clients', '9', '--run', 'rate=80', '--run', 'way=http')).toEqual(['2pc, sdk, 80/s', '2pc, http, 9 clients']);
  });

  it('compare what lists come to, when there are no runs', () => {
    expect(names('compare', '--protocol', '2pc,3pc', '--way', 'sdk')).toEqual(['2pc, sdk, 64 clients', '3pc, sdk, 64 clients']);
  });

  it('take a stack that runs already, through the coordinator only', () => {
    expect(measure('--url', 'http://a:3000,http://b:3000/', '--token-file', 't.json').target).toEqual({ coordinatorUrls: ['http://a:3000', 'http://b:3000'], tokenFile: 't.json' });
    expect(names('--url', 'http://a:3000', '--clients', '1')).toEqual(['2pc, sdk, 1 client']);
  });

  it('take the environment of the services', () => {
    expect(measure('--set', 'MAX_IN_FLIGHT=9', '--set', 'X=a=b').environment).toEqual({ MAX_IN_FLIGHT: '9', X: 'a=b' });
  });

  it('tell two reports to compare', () => {
    expect(parseLoadOptions(['diff', 'a.json', 'b.json'])).toEqual({ kind: 'diff', before: 'a.json', after: 'b.json' });
  });

  it.each([
    [['--clients', '0'], '--clients takes a whole number from 1 to 10000, got "0"'],
    [['--rate', 'fast'], '--rate takes a whole number from 1 to 100000, got "fast"'],
    [['--way', 'pigeon'], '--way takes sdk, http, batch, local, local-single, local-http, got "pigeon"'],
    [['--protocol', '4pc'], '--protocol takes 2pc, 3pc, paxos-commit, saga, got "4pc"'],
    [['--participants', '11'], '--participants takes a whole number from 1 to 10, got "11"'],
    [['--participants', '2', '--way', 'local'], '--way local is the whole checkout: --participants takes 3 there, got "2"'],
    [['--refusals', '2'], '--refusals takes a number from 0 to 1, got "2"'],
    [['--skew', 'zipf'], '--skew zipf= takes a number from 0.1 to 3, got ""'],
    [['--skew', 'steep'], '--skew takes uniform, hot or zipf=EXPONENT, got "steep"'],
    [['--batch', '1001'], '--batch takes a whole number from 1 to 1000, got "1001"'],
    [['--seconds', '1.5'], '--seconds takes a whole number from 1 to 3600, got "1.5"'],
    [['--http', 'two'], '--http takes one, gathered, got "two"'],
    [['--http', 'one', '--way', 'sdk'], 'give one of them'],
    [['--rate', '5', '--clients', '5'], '--rate is an open loop, --clients a closed one'],
    [['--ramp', '--way', 'sdk,http'], '--ramp finds the knee of one configuration, got 2'],
    [['--factor', '2'], '--factor is for --ramp'],
    [['--of-knee', '0.7'], '--of-knee is for --ramp'],
    [['--ramp', '--of-knee', '2'], '--of-knee takes a number from 0.05 to 1, got "2"'],
    [['--ramp', '--of-knee-seconds', '20'], '--of-knee-seconds is for --of-knee'],
    [['--rounds', '2'], '--rounds is for compare and state'],
    [['compare'], 'compare takes --presets, --run, or lists for --way, --protocol or --clients: there is nothing to compare'],
    [['compare', '--way', 'sdk'], 'there is nothing to compare'],
    [['compare', '--presets', 'all'], '--presets takes protocols, monolith, participants, skew, got "all"'],
    [['compare', '--run', 'clients'], '--run "clients": clients has no value; write clients=VALUE'],
    [['compare', '--run', 'colour=red'], '--run "colour=red" takes way, '],
    [['compare', '--run', 'clients=x'], '--run "clients=x": clients takes a whole number'],
    [['compare', '--presets', 'skew', '--clients', '8,16'], '--clients takes a whole number from 1 to 10000, got "8,16"'],
    [['compare', '--ramp', '--presets', 'skew'], 'leave compare out'],
    [['--url', 'localhost:3000'], '--url takes addresses such as http://127.0.0.1:3000, comma separated, got "localhost:3000"'],
    [['--url', 'http://a:1', '--way', 'local'], '--way local is measured on servers of its own: leave --url out'],
    [['--url', 'http://a:1', '--set', 'A=1'], '--set is for the services that are started here'],
    [['--token-file', 'x'], '--token-file is for --url'],
    [['--set', 'PORT'], '--set takes NAME=VALUE, got "PORT"'],
    [['--set', 'ORDERS_PORT=1'], '--set takes no ORDERS_PORT'],
    [['diff', 'a'], 'diff takes two reports and nothing else, got "a"'],
    [['party'], 'unknown command "party"; takes compare, state, idle, diff, or none'],
    [['--colour'], "Unknown option '--colour'"],
  ] as [string[], string][])('refuse %j by name', (argv, message) => {
    expect(() => parseLoadOptions(argv)).toThrow(message);
  });

  it('are all explained', () => {
    expect(parseLoadOptions(['--help'])).toEqual({ kind: 'help' });
    for (const option of [...FIELD_NAMES, 'http', 'drain', 'local-pool', 'ramp', 'factor', 'of-knee', 'of-knee-seconds', 'presets', 'run', 'rounds', 'finished', 'unfinished', 'url', 'token-file', 'set', 'json', 'html']) expect(LOAD_HELP).toContain(`--${option} `);
    for (const preset of Object.keys(PRESETS)) expect(LOAD_HELP).toContain(preset);
  });
});
