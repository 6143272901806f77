/** Paxos Commit beside two-phase commit, and beside the figures of Gray and Lamport (TODS 31(1) 2006, section 5), from whole runs without faults. */
import { expect, test } from '@jest/globals';
import { makeTxid, type VoteKind } from '#libs/protocol';
import { play } from '../src/scenario.js';
import type { System } from '../src/system.js';
import { paxosCommit } from '../src/systems/paxos-commit.js';
import { twoPhaseCommit, type Transaction } from '../src/systems/two-phase-commit.js';

const transaction = (votes: readonly VoteKind[]): Transaction => ({ txid: makeTxid(0, 0, new Uint8Array(8)), votes, createdAtMs: 0, timeoutMs: 1000, waitFor: 'decided' });
const yes = (n: number) => Array.from({ length: n }, (): VoteKind => 'yes');
const paxos = (votes: readonly VoteKind[], f: number) => paxosCommit({ ...transaction(votes), f });
const twoPhase = (votes: readonly VoteKind[]) => twoPhaseCommit(transaction(votes));

interface Run {
  /** Messages between sites: `p1 -> coordinator PHASE_2A`. */
  readonly messages: readonly string[];
  /** Sites that wrote, in order. */
  readonly writes: readonly string[];
  readonly records: readonly string[];
}

/** @param siteOf where each role really is; by default where the system puts it */
function run(system: System, siteOf: (site: string) => string = (site) => site): Run {
  const sites = new Map(system.roles.map(({ name, site }) => [name, siteOf(site)]));
  const lines = play('> system\n> start\n> deliver all', () => system).split('\n');
  const messages: string[] = [];
  const writes: string[] = [];
  let at = '';
  for (const line of lines) {
    const [, kind, from, to] = /^ {2}-- (\S+).*: (.+) -> (.+)$/.exec(line) ?? [];
    if (from !== undefined && sites.get(from) !== sites.get(to!)) messages.push(`${sites.get(from)} -> ${sites.get(to!)} ${kind}`);
    at = [...sites.keys()].find((name) => line.startsWith(`  ${name}: `)) ?? at;
    if (line.startsWith('  store ')) writes.push(sites.get(at)!);
  }
  return { messages, writes, records: lines.flatMap((line) => (line.startsWith('  store ') ? [line.slice('  store '.length)] : [])) };
}

test.each([2, 3, 5])('F=0 with the acceptor on the coordinator\'s site is two-phase commit: %i branches, the same messages between the same sites, the same writes', (n) => {
  const [one, other] = [run(paxos(yes(n), 0)), run(twoPhase(yes(n)))];
  expect(one.messages.map((message) => message.replace('PHASE_2A', 'VOTE'))).toEqual(other.messages);
  expect(one.writes).toEqual(other.writes);
  expect(one.messages).toHaveLength(4 * n);
  expect(one.writes).toHaveLength(2 * n + 3);
});

test('F=0 and one NO: the same messages; the abort needs no register, so one write less', () => {
  const votes: readonly VoteKind[] = ['yes', 'yes', 'no'];
  const [one, other] = [run(paxos(votes, 0)), run(twoPhase(votes))];
  expect(one.messages.map((message) => message.replace('PHASE_2A', 'VOTE'))).toEqual(other.messages);
  expect(other.records.filter((record) => !record.startsWith('DECIDE'))).toHaveLength(one.records.length);
});

const sizes = [0, 1, 2].flatMap((f) => [2, 3, 5, 8].filter((n) => n > f).map((n) => [n, f] as const));

test.each(sizes)('N=%i, F=%i, the coordinator and the acceptors on participants\' nodes: N(F+3)-3 messages until everyone knows', (n, f) => {
  const { messages } = run(paxos(yes(n), f), (site) => (site === 'coordinator' ? 'p0' : site));
  expect(messages.filter((message) => !message.endsWith('ACK'))).toHaveLength(n * (f + 3) - 3);
});

test.each(sizes)('N=%i, F=%i: N+F+1 writes between BEGIN and the first COMMIT', (n, f) => {
  const { records } = run(paxos(yes(n), f));
  expect(records.indexOf('committed') - 1).toBe(n + f + 1);
});

test.each(sizes)('N=%i, F=%i, the coordinator apart: N(F+4) messages with the ACKs, 2N+F+3 writes, as docs/paxos-commit.md says', (n, f) => {
  const { messages, writes } = run(paxos(yes(n), f));
  expect([messages.length, writes.length]).toEqual([n * (f + 4), 2 * n + f + 3]);
});

test('two-phase commit, co-located: 3N-3 messages, 12 against 17 for N=5 and F=1', () => {
  const coLocated = (system: System) => run(system, (site) => (site === 'coordinator' ? 'p0' : site)).messages.filter((message) => !message.endsWith('ACK')).length;
  expect([coLocated(twoPhase(yes(5))), coLocated(paxos(yes(5), 1))]).toEqual([12, 17]);
});

test('two processes in front of one participant\'s database cannot lead the same ballot: the second LEAD is refused', () => {
  const system = paxos(yes(2), 1);
  const leader = system.roles.find(({ name }) => name === 'leader 0')!;
  const lead = { kind: 'MESSAGE', message: { protocol: 'paxos-commit', kind: 'LEAD', txid: system.txid, peers: ['p0', 'p1'], acceptors: ['a0', 'a1', 'a2'] } };
  const { records: [record] } = leader.step(null, lead, { nowMs: 0, tenure: 1, available: 1 });
  const first = leader.write(null, record, false);
  expect(first).not.toBe('refused');
  const rows = (first as Exclude<typeof first, 'refused'>).durable;
  expect(leader.write(rows, record, false)).toBe('refused');
  const again = leader.step(leader.boot(rows).state, lead, { nowMs: 0, tenure: 1, available: 1 });
  expect(leader.write(rows, again.records[0], false)).not.toBe('refused');
});
