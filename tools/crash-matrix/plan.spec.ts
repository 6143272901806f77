import { describe, expect, it } from '@jest/globals';
import { allCrashPoints } from '#libs/runtime';
import { parseMatrixOptions, type MatrixOptions } from './options.js';
import { planCells, type Sighting } from './plan.js';

const options = (...args: string[]): MatrixOptions => parseMatrixOptions(args) as MatrixOptions;

const DECIDE = 'coordinator.before.write:2pc/DECIDE';
const VOTE = 'participant.after.send:2pc/VOTE';
const ABORTED = 'participant.before.write:2pc/BRANCH-aborted';
const OFFSETS = 'participant.before.save-offsets';

const SIGHTINGS: readonly Sighting[] = [
  { protocol: '2pc', scenario: 'yes', process: 'coordinator-0', points: [DECIDE] },
  { protocol: '2pc', scenario: 'yes', process: 'orders-0', points: [VOTE, OFFSETS] },
  { protocol: '2pc', scenario: 'yes', process: 'payments-0', points: [VOTE] },
  { protocol: '2pc', scenario: 'no', process: 'orders-0', points: [VOTE, ABORTED] },
  { protocol: '3pc', scenario: 'yes', process: 'inventory-0', points: [OFFSETS, 'participant.before.write:3pc/BRANCH-pre-committed'] },
];

describe('the cells of the crash matrix', () => {
  it('are one for each point that was reached and each way to go on, in the first scenario that reaches it', () => {
    const { cells } = planCells(SIGHTINGS, options('--protocol', '2pc'));
    expect(cells.map(({ point, scenario, mode }) => [point, scenario, mode])).toEqual([
      [DECIDE, 'yes', 'restart'], [VOTE, 'yes', 'restart'], [OFFSETS, 'yes', 'restart'], [ABORTED, 'no', 'restart'],
      [VOTE, 'yes', 'absent'], [OFFSETS, 'yes', 'absent'], [ABORTED, 'no', 'absent'],
      [DECIDE, 'yes', 'takeover'],
    ]);
    for (const { point, victim, scenario } of cells) expect(SIGHTINGS.find((s) => s.process === victim && s.scenario === scenario && s.points.includes(point))).toBeDefined();
  });

  it('repeat a point that belongs to no protocol for each of them', () => {
    const { cells } = planCells(SIGHTINGS, options('--points', 'save-offsets', '--protocol', '2pc,3pc'));
    expect(cells.filter(({ mode }) => mode === 'restart').map(({ protocol, victim }) => [protocol, victim])).toEqual([['2pc', 'orders-0'], ['3pc', 'inventory-0']]);
  });

  it('know where else their process came by', () => {
    const ofOrders = SIGHTINGS.filter(({ process }) => process === 'orders-0');
    const [vote] = planCells(ofOrders, options('--points', 'VOTE')).cells;
    expect(vote).toMatchObject({ scenario: 'yes', victim: 'orders-0', otherwise: ['no'] });
  });

  it('leave a coordinator dead until the others have finished, where the protocol does not block', () => {
    const state = { protocol: '3pc', scenario: 'yes', process: 'coordinator-0', points: ['coordinator.after.write:3pc/STATE'] } as const;
    expect(planCells([state], options('--protocol', '3pc')).cells.map(({ mode }) => mode)).toEqual(['restart', 'alone', 'takeover']);
  });

  it('are drawn alike for the same seed', () => {
    const draw = (seed: string) => planCells(SIGHTINGS, options('--sample', '3', '--seed', seed)).cells;
    expect(draw('7')).toHaveLength(3);
    expect(draw('7')).toEqual(draw('7'));
    expect(new Set(['1', '2', '3', '4', '5'].map((seed) => JSON.stringify(draw(seed)))).size).toBeGreaterThan(1);
  });

  it('come with what no scenario reached, and with what the code has no name for', () => {
    const plan = planCells([...SIGHTINGS, { protocol: '2pc', scenario: 'yes', process: 'orders-0', points: ['participant.before.send:2pc/LUNCH'] }], options('--protocol', '2pc'));
    expect(plan.unlisted).toEqual(['participant.before.send:2pc/LUNCH']);
    expect(plan.neverReached).toContain('coordinator.after.write:2pc/DECIDE');
    expect(plan.neverReached).not.toContain(DECIDE);
    expect(plan.neverReached.some((name) => name.includes('saga'))).toBe(false);
    expect(allCrashPoints()).toEqual(expect.arrayContaining([...plan.neverReached]));
  });
});

describe('the options of the crash matrix', () => {
  it('are all protocols and roles unless some are named', () => {
    expect(options()).toEqual({ protocols: ['2pc', '3pc', 'paxos-commit', 'saga'], roles: ['coordinator', 'participant', 'acceptor', 'leader'], points: '', list: false, json: null, sample: null, seed: 1 });
  });

  it.each([['--protocol', '4pc'], ['--role', 'king'], ['--sample', 'many'], ['--fast'], ['2pc']])('refuse %s %s with help', (...args) => {
    expect(() => parseMatrixOptions(args)).toThrow(/npm run crash-matrix/);
  });
});
