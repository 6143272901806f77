import { afterAll, describe, expect, it, test } from '@jest/globals';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { Campaign, type CampaignPlan, type Worker } from './campaign.js';
import { main as check } from './check.js';
import { runCheck } from './check-job.js';
import { parseCheckOptions } from './check-options.js';
import { campaignLine, Progress } from './progress.js';
import { parseSimulateOptions, type Job } from './simulate-options.js';
import { main as simulate, onStop } from './simulate.js';
import { hereWorker } from './threads.js';
import type { SliceResult } from './work.js';

const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'concordat-simulate-'));
const pageFile = path.join(folder, 'deep', 'run.html');
afterAll(() => fs.rmSync(folder, { recursive: true, force: true }));

class Sink {
  text = '';
  write(text: string): boolean {
    this.text += text;
    return true;
  }
}

async function run(program: typeof simulate | typeof check, line: string): Promise<{ code: number; out: string }> {
  const out = new Sink();
  const args = line.split(' ');
  const code = program === check ? await check(args, out, new Sink(), runCheck) : await simulate(args, out, new Sink(), hereWorker);
  return { code, out: out.text };
}

function refusal(parse: (argv: readonly string[]) => unknown, line: string): string {
  try {
    parse(line === '' ? [] : line.split(' '));
  } catch (error) {
    expect(error).toHaveProperty('code', 'INVALID_OPTION');
    expect((error as Error).message).not.toContain('\n');
    return (error as Error).message;
  }
  return 'accepted';
}

describe('the options of npm run simulate', () => {
  test.each([
    ['', '--protocol is missing; it takes one of 2pc, 3pc, paxos-commit, saga, textbook-3pc, mixed'],
    ['--protocol 4pc', '--protocol takes one of 2pc, 3pc, paxos-commit, saga, textbook-3pc, mixed, got "4pc"'],
    ['--protocol 2pc --speed 3', "Unknown option '--speed'; see npm run simulate -- --help"],
    ['--protocol 2pc more', "Unexpected argument 'more'"],
    ['--protocol 2pc --nodes 0', '--nodes takes a whole number from 1 to 16, got "0"'],
    ['--protocol 3pc --nodes 1', '--nodes takes a whole number from 2 to 16, got "1"'],
    ['--protocol 2pc --nodes 99', '--nodes takes a whole number from 1 to 16, got "99"'],
    ['--protocol paxos-commit --f 6', '--f takes a whole number from 0 to 5, got "6"'],
    ['--protocol 2pc --f 1', '--f belongs to paxos-commit and mixed, got --protocol 2pc'],
    ['--protocol 2pc --runs 1e3', '--runs takes a whole number from 1 to 100000000, got "1e3"'],
    ['--protocol 2pc --runs 0', '--runs takes a whole number from 1 to 100000000, got "0"'],
    ['--protocol 2pc --seed 4294967296', '--seed takes a whole number from 0 to 4294967295, got "4294967296"'],
    ['--protocol 2pc --seed 0x10', '--seed takes a whole number from 0 to 4294967295, got "0x10"'],
    ['--protocol 2pc --transactions 17', '--transactions takes a whole number from 1 to 16, got "17"'],
    ['--protocol 2pc --workers 65', '--workers takes a whole number from 1 to 64, got "65"'],
    ['--protocol 2pc --replay abc', '--replay takes a seed from 0 to 4294967295, alone or as protocol:seed, got "abc"'],
    ['--replay 7', '--protocol is missing'],
    ['--replay 5pc:7', '--replay takes one of 2pc, 3pc, paxos-commit, saga, textbook-3pc, mixed, got "5pc"'],
    ['--protocol 2pc --replay saga:7', '--replay is of saga and --protocol is 2pc; give one of the two'],
    ['--protocol 2pc --faults fire=1', '--faults: there is no fault "fire"; there are: '],
    ['--protocol 2pc --faults loss=2', '--faults: loss takes a number from 0 to 0.9 or off, got "2"'],
    ['--protocol 2pc --schedule storm', '--schedule takes one of calm, coordinator-lost, coordinator-restarts, partition, got "storm"'],
    ['--protocol mixed --schedule calm', '--schedule stages one transaction of one protocol'],
    ['--protocol 2pc --schedule partition --nodes 9', '--nodes takes a whole number from 2 to 5, got "9"'],
    ['--protocol 2pc --schedule partition --faults loss=0.1', '--schedule is all that happens'],
    ['--protocol 2pc --schedule calm --replay 1', '--replay and --schedule tell one run each'],
    ['--protocol 2pc --page x.html', '--page belongs to --replay and --schedule'],
    ['--protocol 2pc --mutant nobody', '--mutant takes a mutant of 2pc, got "nobody"; there are '],
    ['--protocol textbook-3pc --driver', '--driver drives the live protocols; textbook-3pc is for the simulator alone'],
    ['--protocol paxos-commit --driver --f 1', '--f goes without --driver: there the sites are the acceptors'],
    ['--driver --faults loss=0.1', '--faults: the driver has no fault "loss"; there are: '],
    ['--driver --faults slow=2', '--faults: slow takes a number from 0 to 0.9, got "2"'],
  ])('%s: is refused in one line that names the option, what it got and what it takes', (line, message) => {
    expect(refusal(parseSimulateOptions, line)).toContain(message);
  });

  it('read everything that is given, and draw a seed when none is', () => {
    expect(parseSimulateOptions('--protocol paxos-commit --runs 5 --seed 9 --nodes 4 --f 2 --transactions 3 --coordinators 2 --faults loss=0.1 --workers 2 --json --keep-going'.split(' '))).toEqual({
      job: { protocol: 'paxos-commit', mutant: null, driver: false, nodes: 4, f: 2, transactions: 3, coordinators: 2, faults: 'loss=0.1', keepGoing: true },
      task: { kind: 'campaign', firstSeed: 9, runs: 5, workers: 2 }, json: true,
    });
    const fresh = Array.from({ length: 3 }, () => parseSimulateOptions(['--protocol', '2pc'])).map((options) => (options as { task: { firstSeed: number } }).task.firstSeed);
    expect(new Set(fresh).size).toBeGreaterThan(1);
  });

  test.each(['--replay saga:7', '--protocol saga --replay 7', '--protocol saga --replay saga:7'])('%s names a run', (line) => {
    expect(parseSimulateOptions(line.split(' '))).toMatchObject({ job: { protocol: 'saga' }, task: { kind: 'replay', seed: 7 } });
  });
});

describe('npm run simulate', () => {
  it('ends with 0 and the figures where nothing is violated', async () => {
    const { code, out } = await run(simulate, '--protocol 2pc --runs 60 --seed 1');
    expect(code).toBe(0);
    expect(out).toMatch(/^2pc: 60 schedules from seed 1; .* per second/);
    expect(out).toContain('violations    0');
  });

  it('ends with 1 on a violation, with the seed and the command that replays it', async () => {
    const { code, out } = await run(simulate, '--protocol textbook-3pc --nodes 3 --runs 500 --seed 1');
    expect(code).toBe(1);
    const [, seed, command] = /VIOLATION in seed (\d+): AC1: .*\n {2}npm run simulate -- (.*)\n/.exec(out)!;
    expect(command).toBe(`--protocol textbook-3pc --nodes 3 --replay ${seed}`);
    const again = await run(simulate, `${command} --page ${pageFile}`);
    expect(again.code).toBe(1);
    expect(again.out).toMatch(/VIOLATION AC1: .*\npage: /);
    expect(fs.readFileSync(pageFile, 'utf8')).toContain(`Textbook three-phase commit, seed ${seed}`);
  });

  it('answers --json with one object', async () => {
    const { code, out } = await run(simulate, '--protocol textbook-3pc --runs 300 --seed 1 --keep-going --json');
    const told = JSON.parse(out) as { readonly violations: readonly { readonly seed: number }[] };
    expect(code).toBe(1);
    expect(told).toMatchObject({ protocol: 'textbook-3pc', firstSeed: 1, runs: 300, stopped: false, workers: expect.any(Number), perSecond: expect.any(Number), faults: { loss: expect.any(Number) } });
    expect(told.violations.length).toBeGreaterThan(1);
    expect(told.violations[0]).toEqual({ seed: expect.any(Number), text: expect.stringMatching(/^AC1: /), replay: `npm run simulate -- --protocol textbook-3pc --replay ${told.violations[0]!.seed}` });
  });

  it('replays a run as a transcript, the same each time', async () => {
    const [one, other] = [await run(simulate, `--protocol mixed --replay 3 --page ${pageFile}`), await run(simulate, `--replay mixed:3 --page ${pageFile}`)];
    expect(one).toEqual(other);
    expect(one.code).toBe(0);
    expect(one.out).toMatch(/ms +where +(tx +)?what\n/);
    expect(one.out).toContain(`no violation\npage: ${pageFile}\n`);
  });

  it('shows a mutant fail', async () => {
    const { code, out } = await run(simulate, '--protocol 2pc --mutant counts-no-as-yes --runs 500 --seed 1');
    expect(code).toBe(1);
    expect(out).toMatch(/npm run simulate -- --protocol 2pc --mutant counts-no-as-yes --replay \d+/);
  });

  it('runs the production driver', async () => {
    const { code, out } = await run(simulate, '--driver --runs 4 --seed 1 --json');
    expect(code).toBe(0);
    expect(JSON.parse(out)).toMatchObject({ driver: true, runs: 4, violationCount: 0, slowestHealing: { seed: expect.any(Number) } });
  });

  it('tells what was found so far when it is stopped', async () => {
    const out = new Sink();
    let answers = 0;
    const worker: Worker = {
      run: (slice) => (answers++ < 2 ? hereWorker({ ...JOB, protocol: '2pc' }).run(slice) : new Promise(() => {})),
      close: () => {},
    };
    void simulate('--protocol 2pc --runs 5000 --seed 1 --workers 2'.split(' '), out, new Sink(), () => worker);
    while (answers < 4) await new Promise((resolve) => setTimeout(resolve, 5));
    onStop();
    expect(out.text).toMatch(/^2pc: 500 schedules from seed 1, then stopped; /);
  });
});

describe('the same schedule for two protocols', () => {
  it('blocks 2PC when the coordinator is lost, and not Paxos Commit', async () => {
    const facts = async (protocol: string): Promise<Record<string, string>> =>
      (JSON.parse((await run(simulate, `--protocol ${protocol} --schedule coordinator-lost --json --page ${pageFile}`)).out) as { facts: Record<string, string> }).facts;
    expect(await facts('2pc')).toHaveProperty('blocked for');
    expect(await facts('3pc')).not.toHaveProperty('blocked for');
    expect(await facts('paxos-commit')).not.toHaveProperty('blocked for');
  });

  test.each([['textbook-3pc', 1], ['2pc', 0], ['3pc', 0], ['paxos-commit', 0], ['saga', 0]])('partition splits only textbook 3PC: %s ends with %d', async (protocol, code) => {
    expect((await run(simulate, `--protocol ${protocol} --schedule partition --page ${pageFile}`)).code).toBe(code);
  });

  test.each(['2pc', '3pc', 'paxos-commit', 'saga', 'textbook-3pc'])('calm ends %s without a word of loss', async (protocol) => {
    const { code, out } = await run(simulate, `--protocol ${protocol} --schedule calm --page ${pageFile}`);
    expect(code).toBe(0);
    expect(out).not.toContain('LOST');
    expect(out).toMatch(/outcome: t (committed|completed)/);
  });
});

const JOB: Job = { protocol: 'textbook-3pc', mutant: null, driver: false, nodes: null, f: null, transactions: null, coordinators: null, faults: '', keepGoing: false };

describe('a campaign', () => {
  /** Late answers first, so that slices come back in another order than they were handed out. */
  function disorderly(job: Job, delays: readonly number[]): Worker {
    let calls = 0;
    return {
      run: async (slice) => {
        await new Promise((resolve) => setTimeout(resolve, delays[calls++ % delays.length]));
        return hereWorker(job).run(slice);
      },
      close: () => {},
    };
  }

  const plan: CampaignPlan = { firstSeed: 0xffff_ffff - 20, runs: 120, sliceSize: 5, keepGoing: false };
  const result = (job: Job, some: Partial<CampaignPlan>, workers: readonly Worker[]): Promise<SliceResult> => new Campaign({ ...plan, ...some, keepGoing: job.keepGoing }).run(workers);

  test.each([true, false])('comes to the same with one worker and with many in any order (keep-going %p)', async (keepGoing) => {
    const job = { ...JOB, keepGoing };
    const alone = await result(job, {}, [hereWorker(job)]);
    const many = await result(job, {}, [disorderly(job, [9, 0]), disorderly(job, [0, 3, 1]), disorderly(job, [5])]);
    expect(many).toEqual(alone);
    expect(alone.violations.length).toBeGreaterThan(keepGoing ? 1 : 0);
    if (keepGoing) expect(alone.runs).toBe(120);
    else expect(alone.violations).toHaveLength(1);
  });

  it('goes on at seed 0 after the last one', async () => {
    const { runs } = await result({ ...JOB, protocol: '2pc' }, { runs: 30 }, [hereWorker({ ...JOB, protocol: '2pc' })]);
    expect(runs).toBe(30);
  });
});

describe('progress', () => {
  function shown(isTTY: boolean): string[] {
    let now = 0;
    const lines: string[] = [];
    const progress = new Progress({ isTTY, write: (text) => lines.push(text) }, () => now);
    for (const at of [100, 1000, 9000, 10_000, 12_000, 20_500]) {
      now = at;
      progress.show((elapsedMs) => String(elapsedMs));
    }
    progress.end();
    return lines;
  }

  it('is a line every ten seconds, or one that is rewritten on a terminal', () => {
    expect(shown(false)).toEqual(['10000\n', '20500\n']);
    expect(shown(true)).toEqual(['1000', '9000', '10000', '12000', '20500'].map((text) => `\r${text}\u001b[K`).concat('\r\u001b[K'));
  });

  it('tells runs, rate, what is left and violations', () => {
    expect(campaignLine(2500, 10_000, 1, 5000)).toBe('2,500 of 10,000 runs, 500 per second, 15.0 s to go, 1 violations');
  });
});

describe('npm run check', () => {
  test.each([
    ['', '--protocol is missing; it takes one of 2pc, 3pc, textbook-3pc, paxos-commit, saga'],
    ['--protocol mixed', '--protocol takes one of'],
    ['--protocol 3pc --participants 1', '--participants takes a whole number from 2 to 5, got "1"'],
    ['--protocol 2pc --participants 6', '--participants takes a whole number from 1 to 5, got "6"'],
    ['--protocol 2pc --crashes 8', '--crashes takes a whole number from 0 to 7, got "8"'],
    ['--protocol 2pc --duplicates many', '--duplicates takes a whole number from 0 to 7, got "many"'],
    ['--protocol 2pc --max-states 0', '--max-states takes a whole number from 1 to 200000000, got "0"'],
    ['--protocol 2pc --votes yes,maybe', '--votes takes one of yes, no, read-only, got "maybe"'],
    ['--protocol 2pc --votes yes --participants 2', '--votes says how many participants there are'],
    ['--protocol 2pc --timer resend', '--timer takes NAME=N, got "resend"'],
    ['--protocol 2pc --crash-points some', '--crash-points takes one of all, idle, got "some"'],
    ['--protocol 2pc --f 1', '--f belongs to paxos-commit, got --protocol 2pc'],
    ['--protocol 2pc --nodes 3', "Unknown option '--nodes'; see npm run check -- --help"],
  ])('%s: is refused in one line', (line, message) => {
    expect(refusal(parseCheckOptions, line)).toContain(message);
  });

  it('reads every bound', () => {
    const line = '--protocol 2pc --participants 2 --crashes 2 --losses 1 --duplicates unlimited --elections 3 --take-overs 0 --max-states 50 --crash-points idle --feedback at-once --timer resend=2';
    expect(parseCheckOptions(line.split(' '))).toMatchObject({
      jobs: [{
        votes: ['yes', 'yes'],
        bounds: { crashes: 2, losses: 1, duplicates: 'unlimited', firings: 3, takeOvers: 0, mostStates: 50, crashPoints: 'idle', feedback: 'at once', timers: { resend: 2 } },
      }],
    });
  });

  it('ends with 0, states and depth where every state is right', async () => {
    const { code, out } = await run(check, '--protocol 2pc --participants 1 --elections 1 --crash-points idle --json');
    expect(code).toBe(0);
    expect(JSON.parse(out)).toMatchObject({ protocol: '2pc', exhausted: true, violation: null, states: expect.any(Number), depth: expect.any(Number) });
  });

  it('says so when it gave up', async () => {
    expect((await run(check, '--protocol 2pc --max-states 100')).out).toContain('NOT every state: the search gave up at --max-states 100');
  });

  it('ends with 1, the shortest way and its page on a violation', async () => {
    const { code, out } = await run(check, `--protocol textbook-3pc --participants 2 --page ${pageFile}`);
    expect(code).toBe(1);
    expect(out).toMatch(/VIOLATION AC1: .*\n\n *ms {2}where +what\n/);
    expect(fs.readFileSync(pageFile, 'utf8')).toContain('npm run check -- --protocol textbook-3pc --participants 2');
  });

  it('finds what a mutant does wrong', async () => {
    expect((await run(check, `--protocol 2pc --mutant counts-no-as-yes --votes yes,no --page ${pageFile}`)).code).toBe(1);
  });
});
