import { afterAll, describe, expect, it } from '@jest/globals';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import type { Envelope, Message, Txid } from '#libs/protocol';
import type { BranchStore, BranchTransaction, CoordinatorFlush, CoordinatorStore, SiteRows, Transport } from '../ports.js';
import { allCrashPoints, offsetCrashPoints, parseCrashPoint, withCrashPoints } from './index.js';
import { crashTriggerFrom } from './trigger.js';
import { crashingBranchStore, crashingCoordinatorStore, crashingOffsets, crashingTransport } from './wrappers.js';

const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'concordat-crash-points-'));
afterAll(() => fs.rmSync(folder, { recursive: true, force: true }));

const T1 = 'txid-1' as Txid;

class Died extends Error {}
/** In place of SIGKILL: nothing that comes after may happen. */
const die = (): never => { throw new Died(); };

const armed = (point: string) => crashTriggerFrom({ CONCORDAT_CRASH_POINTS: 'on', CRASH_POINT: point }, die)!;
const noting = () => {
  const names: string[] = [];
  return { names, trigger: { hit: (some: Iterable<string>) => { names.push(...some); } } };
};

const message = (fields: object): Message => ({ txid: T1, branch: 0, ...fields }) as unknown as Message;
const envelope = (fields: object): Envelope => ({ to: { role: 'coordinator' }, message: message(fields) });

/** Tells what it did. */
function coordinatorStore(did: string[]): CoordinatorStore {
  return {
    acquireShards: async () => { did.push('acquired'); return []; },
    presumeAbort: async () => { did.push('presumed'); return new Map(); },
    shardEpochs: async () => [],
    lookUp: async () => new Map(),
    loadUnfinished: async () => [{ begin: { spec: { txid: T1, protocol: 'paxos-commit' } } }] as never,
    flush: async () => { did.push('flushed'); return { fenced: [], duplicates: new Map(), register: new Map() }; },
  };
}

function branchStore(did: string[]): BranchStore<string> {
  return {
    loadUndecided: async () => [],
    isTransient: () => true,
    async transact(work) {
      const tx: BranchTransaction<string> = { handle: 'handle', load: async () => ({ branches: [], acceptors: [], leaders: [] }), save: async () => { did.push('saved'); }, savepoint: (inner) => inner() };
      const result = await work(tx);
      did.push('flushed');
      return result;
    },
  };
}

function transport(did: string[]): Transport {
  return { send: async () => { did.push('sent'); }, subscribe: async () => ({ close: async () => {} }), healthy: () => true, close: async () => {} };
}

const nothing: CoordinatorFlush = { epochs: [], begins: [], progress: [], decisions: [], ends: [] };
const begin = { spec: { txid: T1, protocol: '2pc' } } as unknown as CoordinatorFlush['begins'][number];
const decision = { txid: T1 } as CoordinatorFlush['decisions'][number];
const end = { txid: T1 } as CoordinatorFlush['ends'][number];
const siteRows = { branches: [{ protocol: '3pc', state: 'pre-committed' }, { protocol: '2pc', state: 'prepared' }], acceptors: [{}], leaders: [{}] } as unknown as SiteRows;

describe('crash points', () => {
  it('are not there without the flag: the ports stay the very same, whatever CRASH_POINT says', () => {
    const ports = { store: coordinatorStore([]), transport: transport([]) };
    for (const env of [{}, { CONCORDAT_CRASH_POINTS: 'off' }, { CRASH_POINT: 'nonsense' }, { CONCORDAT_CRASH_POINTS: 'on' }]) {
      expect(withCrashPoints(ports, 'coordinator', env)).toBe(ports);
      expect(offsetCrashPoints('coordinator', env)).toEqual({});
    }
  });

  it('are put around all ports with the flag', () => {
    const env = { CONCORDAT_CRASH_POINTS: 'on', CRASH_POINT: 'coordinator.before.write:EPOCH' };
    const ports = { store: coordinatorStore([]), transport: transport([]) };
    const wrapped = withCrashPoints(ports, 'coordinator', env);
    expect(wrapped.store).not.toBe(ports.store);
    expect(wrapped.transport).not.toBe(ports.transport);
    const site = { store: branchStore([]), transport: transport([]) };
    expect(withCrashPoints(site, 'participant', env).store).not.toBe(site.store);
    expect(offsetCrashPoints('participant', env)).toHaveProperty('savingOffsets');
  });

  it.each<[string, Record<string, string>, RegExp]>([
    ['in production', { NODE_ENV: 'production', CONCORDAT_CRASH_POINTS: 'on', CRASH_POINT: 'coordinator.before.write:EPOCH' }, /^CONCORDAT_CRASH_POINTS is on with NODE_ENV=production: [^\n]+$/],
    ['by a flag that is neither on nor off', { CONCORDAT_CRASH_POINTS: 'yes' }, /^CONCORDAT_CRASH_POINTS got "yes"; it takes "on" or "off"$/],
    ['at a place that there is not', { CONCORDAT_CRASH_POINTS: 'on', CRASH_POINT: 'coordinator.before.write:2pc/LUNCH' }, /^CRASH_POINT got "coordinator\.before\.write:2pc\/LUNCH", which is no crash point/],
    ['for the zeroth time', { CONCORDAT_CRASH_POINTS: 'on', CRASH_POINT: 'coordinator.before.write:EPOCH#0' }, /^CRASH_POINT got "coordinator\.before\.write:EPOCH#0"/],
  ])('are refused %s, in one line', (_what, env, expected) => {
    const attempt = (): unknown => withCrashPoints({ store: coordinatorStore([]), transport: transport([]) }, 'coordinator', env);
    expect(attempt).toThrow(expect.objectContaining({ code: 'INVALID_CONFIGURATION' }));
    expect(attempt).toThrow(expected);
  });

  it('have names of their own, which can be read back', () => {
    const names = allCrashPoints();
    expect(new Set(names).size).toBe(names.length);
    for (const name of names) expect(parseCrashPoint(name)?.name).toBe(name);
    expect(names).toEqual(expect.arrayContaining([
      'coordinator.before.write:2pc/DECIDE', 'coordinator.after.write:3pc/STATE', 'coordinator.before.write:saga/SENT', 'coordinator.after.send:saga/OUTCOME',
      'participant.before.write:paxos-commit/BRANCH-prepared', 'acceptor.after.write:paxos-commit/ACCEPTOR', 'leader.before.write:paxos-commit/LEADER',
      'leader.before.send:paxos-commit/PHASE_2A', 'participant.after.send:paxos-commit/PHASE_2A', 'acceptor.before.save-offsets',
    ]));
    expect(parseCrashPoint('coordinator.during.write:2pc/END')).toBeNull();
  });
});

describe('the coordinator at a crash point', () => {
  it('dies before a write with nothing written, and after it with everything written', async () => {
    const did: string[] = [];
    await expect(crashingCoordinatorStore(coordinatorStore(did), armed('coordinator.before.write:2pc/BEGIN')).flush({ ...nothing, begins: [begin] })).rejects.toThrow(Died);
    expect(did).toEqual([]);
    await expect(crashingCoordinatorStore(coordinatorStore(did), armed('coordinator.after.write:2pc/BEGIN')).flush({ ...nothing, begins: [begin] })).rejects.toThrow(Died);
    expect(did).toEqual(['flushed']);
  });

  it('goes on at all others, and until it is there for the n-th time', async () => {
    const did: string[] = [];
    const store = crashingCoordinatorStore(coordinatorStore(did), armed('coordinator.after.write:2pc/BEGIN#3'));
    await store.flush({ ...nothing, ends: [end] });
    await store.flush({ ...nothing, begins: [begin, begin, begin] });
    await store.flush({ ...nothing, begins: [begin] });
    expect(did).toHaveLength(3);
    await expect(store.flush({ ...nothing, begins: [begin] })).rejects.toThrow(Died);
  });

  it('names records by the protocol of their transaction, also of one that it recovered', async () => {
    const { names, trigger } = noting();
    const store = crashingCoordinatorStore(coordinatorStore([]), trigger);
    await store.flush({ ...nothing, begins: [{ spec: { txid: T1, protocol: '3pc' } } as never], progress: [{ txid: T1, kind: 'STATE', key: '', data: null }] });
    await store.loadUnfinished(0, null, 10);
    await store.flush({ ...nothing, decisions: [decision], ends: [end] });
    await store.acquireShards([0], 'me');
    await store.presumeAbort([T1], 0);
    expect(names.filter((name) => name.includes('before'))).toEqual([
      'coordinator.before.write:3pc/BEGIN', 'coordinator.before.write:3pc/STATE', 'coordinator.before.write:paxos-commit/DECIDE', 'coordinator.before.write:paxos-commit/END',
      'coordinator.before.write:EPOCH', 'coordinator.before.write:PRESUMED_ABORT',
    ]);
    for (const name of names) expect(allCrashPoints()).toContain(name);
  });
});

describe('a participant at a crash point', () => {
  it('dies before the flush, when its handlers have run and its rows are on their way, or after it', async () => {
    const did: string[] = [];
    const run = (point: string): Promise<string> => crashingBranchStore(branchStore(did), armed(point)).transact(async (tx) => {
      await tx.save(siteRows);
      return tx.handle;
    });
    await expect(run('participant.before.write:2pc/BRANCH-prepared')).rejects.toThrow(Died);
    expect(did.splice(0)).toEqual(['saved']);
    await expect(run('participant.after.write:2pc/BRANCH-prepared')).rejects.toThrow(Died);
    expect(did.splice(0)).toEqual(['saved', 'flushed']);
    expect(await run('participant.after.write:2pc/BRANCH-aborted')).toBe('handle');
  });

  it('names the rows of each role that it plays', async () => {
    const { names, trigger } = noting();
    await crashingBranchStore(branchStore([]), trigger).transact((tx) => tx.save(siteRows));
    expect(names.filter((name) => name.includes('after'))).toEqual([
      'participant.after.write:3pc/BRANCH-pre-committed', 'participant.after.write:2pc/BRANCH-prepared', 'acceptor.after.write:paxos-commit/ACCEPTOR', 'leader.after.write:paxos-commit/LEADER',
    ]);
  });

  it('is at none when it only reads', async () => {
    const { names, trigger } = noting();
    await crashingBranchStore(branchStore([]), trigger).transact((tx) => tx.load({ branches: [], acceptors: [], leaders: [] }));
    expect(names).toEqual([]);
  });
});

describe('sending', () => {
  it('is between two crash points for each kind of message, under the role that sends it', async () => {
    const { names, trigger } = noting();
    const paxos = { protocol: 'paxos-commit' };
    await crashingTransport(transport([]), 'participant', trigger).send([
      envelope({ kind: 'VOTE' }), envelope({ kind: 'VOTE' }), envelope({ kind: 'ANNOUNCE' }), envelope({ ...paxos, kind: 'PHASE_2A', ballot: { n: 0, leader: 0 } }),
      envelope({ ...paxos, kind: 'PHASE_2A', ballot: { n: 1, leader: 2 } }), envelope({ ...paxos, kind: 'PHASE_1B' }), envelope({ ...paxos, kind: 'COMMIT' }), envelope({ protocol: '3pc', kind: 'PRE_COMMIT' }),
    ]);
    const kinds = [
      'participant.before.send:2pc/VOTE', 'participant.before.send:ANNOUNCE', 'participant.before.send:paxos-commit/PHASE_2A', 'leader.before.send:paxos-commit/PHASE_2A',
      'acceptor.before.send:paxos-commit/PHASE_1B', 'leader.before.send:paxos-commit/COMMIT', 'participant.before.send:3pc/PRE_COMMIT',
    ];
    expect(names).toEqual([...kinds, ...kinds.map((name) => name.replace('before', 'after'))]);
    for (const name of names) expect(allCrashPoints()).toContain(name);
  });

  it('is none for what a site says to itself, even if it leaves the process', async () => {
    const { names, trigger } = noting();
    const did: string[] = [];
    await crashingTransport(transport(did), 'participant', trigger).send([envelope({ protocol: 'paxos-commit', kind: 'LEAD' })]);
    expect([names, did]).toEqual([[], ['sent']]);
    expect(allCrashPoints().filter((name) => name.endsWith('.send:paxos-commit/LEAD'))).toEqual([]);
  });

  it('of outcomes is named after them', async () => {
    const did: string[] = [];
    const sending = crashingTransport(transport(did), 'coordinator', armed('coordinator.after.send:saga/OUTCOME')).send([], [{ protocol: 'saga' } as never]);
    await expect(sending).rejects.toThrow(Died);
    expect(did).toEqual(['sent']);
  });
});

describe('CRASH_POINT', () => {
  it('record: writes down what is reached, each once, at once', () => {
    const file = path.join(folder, 'recorded');
    const offsets = crashingOffsets('acceptor', armed(`record:${file}`));
    offsets.before();
    offsets.before();
    expect(fs.readFileSync(file, 'utf8')).toBe('acceptor.before.save-offsets\n');
    offsets.after();
    expect(fs.readFileSync(file, 'utf8').split('\n')).toEqual(['acceptor.before.save-offsets', 'acceptor.after.save-offsets', '']);
  });

  it('file: arms a process that runs, which dies there once', () => {
    const file = path.join(folder, 'orders');
    const offsets = crashingOffsets('participant', armed(`file:${file}`));
    offsets.before();
    fs.writeFileSync(file, 'participant.before.save-offsets#2\n');
    offsets.before();
    offsets.after();
    expect(() => offsets.before()).toThrow(Died);
    expect(fs.existsSync(file)).toBe(false);
    offsets.before();
    fs.writeFileSync(file, 'nowhere');
    expect(() => offsets.before()).toThrow('which is no crash point');
  });
});
