/** The data-centre report: what the map says is what transactions take, and a lost region does to each protocol what theory says. */
import { describe, expect, it, test } from '@jest/globals';
import fs from 'node:fs';
import { makeTxid, type VoteKind } from '#libs/protocol';
import { Random } from '../src/world/random.js';
import { flushMs, oneWayMs } from '../src/regions/latency.js';
import { nearestRegions, REGIONS, regionNamed, roundTripMs } from '../src/regions/map.js';
import { fateOf, longestInDoubtMs, percentile, type TransactionTimes } from '../src/regions/outcome.js';
import { regionPage } from '../src/regions/page.js';
import { regionsUsed, sitesOf, type Placement } from '../src/regions/placement.js';
import { renderMap, renderRegions } from '../src/regions/render.js';
import { kindOf, placementReport, placementsOf, REGION_DEFAULTS, regionReport, type LossResult, type RegionOptions } from '../src/regions/report.js';
import { TimedRun } from '../src/regions/timed-run.js';
import { twoPhaseCommit } from '../src/systems/two-phase-commit.js';

const OPTIONS: RegionOptions = { ...REGION_DEFAULTS, runs: 60 };
const placed = (protocol: Placement['protocol'], control: Placement['control'], participants: Placement['participants']): Placement =>
  ({ protocol, control, participants, home: 'frankfurt' });
const lossOf = (placement: Placement, region: string, when: LossResult['when']): LossResult =>
  placementReport(placement, OPTIONS).losses.find((loss) => loss.region === region && loss.when === when)!;

describe('the map', () => {
  it('is the same in both directions, and every two regions are farther apart than two zones', () => {
    for (const a of REGIONS) {
      for (const b of REGIONS) {
        const there = roundTripMs({ region: a, zone: 0 }, { region: b, zone: 1 });
        expect(there).toBe(roundTripMs({ region: b, zone: 1 }, { region: a, zone: 0 }));
        if (a !== b) expect(there).toBeGreaterThan(roundTripMs({ region: a, zone: 0 }, { region: a, zone: 1 }));
      }
    }
  });

  it('knows what is near', () => {
    expect(nearestRegions('frankfurt', 3)).toEqual(['frankfurt', 'ireland', 'virginia']);
    expect(nearestRegions('singapore', 3)).toEqual(['singapore', 'tokyo', 'sydney']);
  });

  it('refuses a region that it does not have, and names those it has', () => {
    expect(() => regionNamed('atlantis')).toThrow('unknown region "atlantis"; known are frankfurt, ireland, virginia');
  });

  it('is in docs/regions.md as it is here', () => {
    expect(fs.readFileSync('docs/regions.md', 'utf8')).toContain(renderMap());
  });

  it('a message is never faster than the map, and half of them at most 2 % slower', () => {
    const random = new Random(1);
    const delays = Array.from({ length: 2000 }, () => oneWayMs({ region: 'frankfurt', zone: 0 }, { region: 'virginia', zone: 0 }, random));
    expect(Math.min(...delays)).toBeGreaterThanOrEqual(45);
    expect(percentile(delays, 0.5)).toBeCloseTo(45 * 1.02, 0);
    expect(percentile(delays, 0.99)).toBeGreaterThan(45 * 1.1);
  });
});

describe('one transaction', () => {
  const run = (votes: readonly VoteKind[]) => {
    const system = twoPhaseCommit({ txid: makeTxid(0, 0, new Uint8Array(8)), votes, createdAtMs: 0, timeoutMs: 1000, waitFor: 'decided' });
    const durable: string[] = [];
    const timing = { messageMs: (from: string, to: string) => (from === 'client' || to === 'client' ? 50 : 0), flushMs: () => 1 };
    const timed = new TimedRun(system, timing, null, (role, label, atMs) => durable.push(`${role} ${label} ${atMs}`));
    timed.run(10_000, () => false);
    return { answer: timed.answer, durable };
  };

  it('of two-phase commit with everyone but the client in one place takes the client\'s round trip and three flushes', () => {
    expect(run(['yes', 'yes']).answer).toEqual({ outcome: 'committed', atMs: 50 + 3 + 50 });
  });

  it('is applied two flushes after BEGIN and a vote', () => {
    expect(run(['yes', 'yes']).durable).toEqual([
      'coordinator preparing 51', 'participant 0 prepared 52', 'participant 1 prepared 52', 'coordinator deciding 53', 'participant 0 committed 54',
      'participant 1 committed 54', 'coordinator finished 55',
    ]);
  });

  it('with one NO aborts, and END, which nothing holds up, is a fourth flush before the answer', () => {
    expect(run(['yes', 'no']).answer).toEqual({ outcome: 'aborted', atMs: 50 + 4 + 50 });
  });
});

describe('what became of a transaction', () => {
  const clock = { lostAtMs: 100, backAtMs: 60_100, limitMs: 5000 };
  const times = (outcome: TransactionTimes['outcome'], ...branches: [number | null, number | null, boolean?][]): TransactionTimes =>
    ({ outcome, answeredAtMs: null, branches: branches.map(([preparedAtMs, decidedAtMs, lost = false]) => ({ preparedAtMs, decidedAtMs, lost })) });

  test.each([
    ['committed', times('committed', [10, 200], [10, 5000])],
    ['aborted', times('aborted', [10, 200], [null, null])],
    ['late', times('committed', [10, 200], [10, 5101])],
    ['blocked', times('committed', [10, 200], [10, 60_150])],
    ['blocked', times(null, [10, null], [10, null])],
    ['nobody left', times('committed', [10, 60_200, true], [10, 60_200, true])],
    ['committed', times('committed', [10, 200], [10, 60_200, true])],
  ] as const)('%s: %j', (fate, of) => expect(fateOf(of, clock)).toBe(fate));

  it('the longest time in doubt leaves out those that were lost themselves', () => {
    expect(longestInDoubtMs(times('committed', [10, 210], [10, 60_200, true]))).toBe(200);
  });
});

describe('placements', () => {
  it('the client asks the nearest coordinator that is left, if there is one', () => {
    expect(sitesOf(placed('2pc', 1, 'spread'), 'frankfurt')).toBeNull();
    expect(sitesOf(placed('2pc', 3, 'spread'), 'frankfurt')!.zones.get('coordinator')).toEqual({ region: 'ireland', zone: 0 });
    expect(sitesOf(placed('2pc', 3, 'spread'), 'ireland')!.zones.get('coordinator')).toEqual({ region: 'frankfurt', zone: 0 });
  });

  it('acceptors are in three zones of one region, or in three or five regions', () => {
    const regionsOf = (control: Placement['control']) => [...sitesOf(placed('paxos-commit', control, 'home'))!.zones]
      .filter(([site]) => site.startsWith('a')).map(([, { region, zone }]) => `${region} ${zone}`);
    expect(regionsOf(1)).toEqual(['frankfurt 0', 'frankfurt 1', 'frankfurt 2']);
    expect(regionsOf(3)).toEqual(['frankfurt 0', 'ireland 0', 'virginia 0']);
    expect(regionsOf(5)).toHaveLength(5);
  });

  it('know whose regions they use', () => {
    const placement = placed('paxos-commit', 5, 'spread');
    expect(regionsUsed(placement).map((region) => kindOf(placement, region))).toEqual(['coordinator', 'participant', 'participant', 'acceptor only', 'acceptor only']);
  });
});

describe('without failures', () => {
  const latency = (placement: Placement) => placementReport(placement, OPTIONS).answered.p50Ms;

  it('two-phase commit waits for the farthest participant once, E3PC for it and then for a majority', () => {
    expect(latency(placed('2pc', 1, 'spread'))).toBeGreaterThan(90);
    expect(latency(placed('2pc', 1, 'spread'))).toBeLessThan(105);
    expect(latency(placed('3pc', 1, 'spread')) - latency(placed('2pc', 1, 'spread'))).toBeGreaterThan(25);
  });

  it('Paxos Commit with everything at home but the acceptors waits for the nearest other region', () => {
    const extra = latency(placed('paxos-commit', 3, 'home')) - latency(placed('2pc', 1, 'home'));
    expect(extra).toBeGreaterThan(22);
    expect(extra).toBeLessThan(30);
  });
});

describe('the coordinator\'s region is lost under way', () => {
  it('two-phase commit blocks until it is back', () => {
    const { shares, longestInDoubtMs: longest } = lossOf(placed('2pc', 3, 'spread'), 'frankfurt', 'under way');
    expect(shares.blocked).toBeGreaterThan(0.3);
    expect(longest).toBeGreaterThan(60_000);
    expect(longest).toBeLessThan(65_000);
  });

  it('Paxos Commit with acceptors in three regions does not', () => {
    const { shares, longestInDoubtMs: longest } = lossOf(placed('paxos-commit', 3, 'spread'), 'frankfurt', 'under way');
    expect(shares.blocked + shares.late).toBe(0);
    expect(shares.committed).toBeGreaterThan(0.8);
    expect(longest).toBeLessThan(10_000);
  });

  it('Paxos Commit with all acceptors in that region blocks like two-phase commit', () => {
    expect(lossOf(placed('paxos-commit', 1, 'spread'), 'frankfurt', 'under way').shares.blocked).toBeGreaterThan(0.3);
  });

  it('E3PC does not block if a majority of its sites is elsewhere, and does if half of them are lost', () => {
    expect(lossOf(placed('3pc', 1, 'away'), 'frankfurt', 'under way').shares.blocked).toBe(0);
    expect(lossOf(placed('3pc', 1, 'spread'), 'frankfurt', 'under way').shares.blocked).toBeGreaterThan(0.3);
  });
});

describe('a saga', () => {
  it('takes its steps one after the other', () => {
    const { answered } = placementReport(placed('saga', 1, 'spread'), OPTIONS);
    expect(answered.p50Ms).toBeGreaterThan(25 + 90);
  });

  it('is half done until the region is back, whosever it is', () => {
    for (const region of ['frankfurt', 'virginia']) expect(lossOf(placed('saga', 3, 'spread'), region, 'under way').shares.blocked).toBeGreaterThan(0.2);
  });
});

describe('a region is lost before the client asks', () => {
  it('with coordinators in one region nobody takes the transaction, with three another one does', () => {
    expect(lossOf(placed('2pc', 1, 'away'), 'frankfurt', 'before').refused).toBe(1);
    expect(lossOf(placed('2pc', 3, 'away'), 'frankfurt', 'before')).toMatchObject({ refused: 0, shares: { committed: 1 } });
  });

  it('a participant\'s: every protocol aborts', () => {
    for (const protocol of ['2pc', '3pc', 'paxos-commit'] as const) expect(lossOf(placed(protocol, 3, 'spread'), 'virginia', 'before').shares.aborted).toBe(1);
  });

  it('an acceptor\'s: Paxos Commit commits with the others, after the votes were repeated', () => {
    const { shares, answered } = lossOf(placed('paxos-commit', 3, 'home'), 'ireland', 'before');
    expect(shares.committed).toBe(1);
    expect(answered!.p50Ms).toBeGreaterThan(1000);
  });
});

describe('the report', () => {
  const small = { ...OPTIONS, runs: 5 };

  it('is a function of its seed', () => {
    expect(regionReport(small)).toEqual(regionReport(small));
    expect(regionReport({ ...small, seed: 2 })).not.toEqual(regionReport(small));
  });

  it('shares sum up to one, for every placement, region and moment', () => {
    const reports = regionReport(small);
    expect(reports).toHaveLength(placementsOf(small).length);
    for (const { placement, losses } of reports) {
      expect(losses).toHaveLength(2 * regionsUsed(placement).length);
      for (const { shares, refused } of losses) expect(Object.values(shares).reduce((sum, share) => sum + share, refused)).toBeCloseTo(1);
    }
  });

  it('as text puts placements that do not differ on one line, and as a page is one file without scripts', () => {
    const reports = regionReport({ ...small, protocols: ['2pc', 'paxos-commit'] });
    expect(renderRegions(reports)).toMatch(/\| 2PC, 1, 3 and 5 regions +\|/);
    const page = regionPage(reports, small);
    expect(page).toContain('Paxos Commit, 5 regions');
    expect(page).not.toMatch(/<script|https?:\/\//);
  });
});

it('a flush takes a millisecond or two', () => {
  const random = new Random(3);
  expect(percentile(Array.from({ length: 1000 }, () => flushMs(random)), 0.5)).toBeCloseTo(1.5, 0);
});
