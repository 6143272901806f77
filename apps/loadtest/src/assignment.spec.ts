import { describe, expect, it } from '@jest/globals';
import { AssignmentError, parseAssignment } from './assignment.js';
import type { Assignment } from './contract.js';

const ASSIGNMENT: Assignment = {
  way: 'sdk', loop: { kind: 'open', ratePerSecond: 500 }, warmupSeconds: 0, mostWarmupSeconds: 0, seconds: 10, batchSize: 100, worker: 1, workers: 2, idPrefix: 'l1',
  workload: { protocol: 'saga', participants: 3, refusalShare: 0.1, skew: { zipf: 0.99 }, payloadBytes: 0, seed: 1 },
  target: { coordinatorUrls: ['http://127.0.0.1:3000'], token: 't', localDatabaseUrl: null, localHttpUrl: null, localPool: 16 },
};
const without = (change: object): string => JSON.stringify({ ...ASSIGNMENT, ...change });
const workload = (change: object): string => without({ workload: { ...ASSIGNMENT.workload, ...change } });

describe('an assignment', () => {
  it('is taken as it is', () => {
    expect(parseAssignment(JSON.stringify(ASSIGNMENT))).toEqual(ASSIGNMENT);
    for (const skew of ['uniform', 'hot']) expect(parseAssignment(workload({ skew })).workload.skew).toBe(skew);
    expect(parseAssignment(without({ loop: { kind: 'closed', clients: 4 } })).loop).toEqual({ kind: 'closed', clients: 4 });
  });

  it.each([
    ['nothing', '', 'stdin takes one JSON document'],
    ['half a document', '{"way":\n', 'stdin takes one JSON document'],
    ['no object', '[]', 'it must be object'],
    ['an unknown way', without({ way: 'carrier-pigeon' }), 'way must be equal to one of the allowed values: ["sdk","http"'],
    ['a missing field', without({ seconds: undefined }), "must have required property 'seconds'"],
    ['an unknown field', without({ sceonds: 3 }), 'must NOT have additional properties'],
    ['no time', without({ seconds: 0 }), 'seconds must be > 0'],
    ['a loop of another kind', without({ loop: { kind: 'open', clients: 3 } }), "loop must have required property 'ratePerSecond'"],
    ['too many participants', workload({ participants: 11 }), 'workload.participants must be <= 10'],
    ['a share above one', workload({ refusalShare: 1.5 }), 'workload.refusalShare must be <= 1'],
    ['a flat Zipf', workload({ skew: { zipf: 0 } }), 'workload.skew'],
    ['a warm-up that is over before it is long enough', without({ warmupSeconds: 3, mostWarmupSeconds: 2 }), 'mostWarmupSeconds 2 is less than warmupSeconds 3'],
    ['a worker too many', without({ worker: 2 }), 'worker 2 is none of 2'],
    ['no coordinator', without({ target: { ...ASSIGNMENT.target, coordinatorUrls: [] } }), 'way sdk needs target.coordinatorUrls'],
    ['no local database', without({ way: 'local-single' }), 'way local-single needs target.localDatabaseUrl'],
    ['no local server', without({ way: 'local-http' }), 'way local-http needs target.localHttpUrl'],
  ])('is refused in one line: %s', (_what, json, message) => {
    const refuse = (): unknown => parseAssignment(json);
    expect(refuse).toThrow(AssignmentError);
    expect(refuse).toThrow(message);
    expect(refuse).not.toThrow('\n');
  });

  it('of the monolith is the whole checkout', () => {
    const target = { ...ASSIGNMENT.target, localDatabaseUrl: 'postgres://local' };
    expect(() => parseAssignment(without({ way: 'local', target, workload: { ...ASSIGNMENT.workload, participants: 5 } }))).toThrow('takes 3, not 5');
    expect(parseAssignment(without({ way: 'local', target })).way).toBe('local');
  });
});
