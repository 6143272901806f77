import type { BranchRow, Txid, VoteKind } from '#libs/protocol';
import { CoordinatorDriver } from '#libs/runtime';
import { atomicLeftover, atomicViolation, type BranchFacts } from '../atomic.js';
import type { BranchDatabase } from './branch-database.js';
import type { DriverWorld } from './world.js';

/** What still has to happen; empty when everything has ended. */
export function unfinished(world: DriverWorld): readonly string[] {
  const { tables, witness, databases, clients, bus, instances } = world;
  return [
    ...clients.flatMap(({ isDone, wish }) => (isDone ? [] : [`client ${wish.number} has no answer`])),
    ...[...tables.open].map((txid) => `${witness.name(txid)} has no END`),
    ...databases.flatMap(({ site, rows }) => (
      [...rows.values()].flatMap(({ state, txid, branch }) => (state === 'prepared' ? [`${witness.name(txid)}: ${site}/${branch} is still prepared`] : []))
    )),
    ...bus.undone().map((left) => `${left} are not done`),
    ...instances.flatMap(({ process, driver }) => [
      ...[...process.openCalls].map(({ what, sinceMs }) => `${process.name} has not answered ${what} since ${Math.round(sinceMs)} ms`),
      ...busyParts(driver).map((part) => `${process.name}: ${part}`),
    ]),
  ];
}

function busyParts(driver: DriverWorld['instances'][number]['driver']): readonly string[] {
  const stats: { readonly [name: string]: unknown } = { ...driver.stats() };
  const parts = driver instanceof CoordinatorDriver ? ['inFlight', 'queued', 'unsent'] : ['queued', 'unsent', 'inDoubt', 'parked'];
  return parts.flatMap((part) => (stats[part] === 0 ? [] : [`${part} is ${String(stats[part])}`]));
}

/** What the tables, the rows, the shelves and the clients say once everything has ended. */
export function finalViolations(world: DriverWorld): readonly string[] {
  return [
    ...[...world.tables.begins.keys()].flatMap((txid) => transactionViolations(world, txid)),
    ...strays(world),
    ...world.databases.flatMap((database) => conservation(world, database)),
    ...clientViolations(world),
  ];
}

function transactionViolations({ tables, databases, witness }: DriverWorld, txid: Txid): readonly string[] {
  const { branches } = tables.begins.get(txid)!.spec;
  const facts = branches.map(({ participant }, branch) => factsOf(databases.find(({ site }) => site === participant)!, `${txid}/${branch}`));
  const register = tables.register.get(txid);
  const decided = register === undefined ? null : register.decision === 'COMMIT' ? 'committed' : 'aborted';
  const ended = tables.ends.get(txid)?.outcome ?? null;
  const wrong = [atomicViolation({ branches: facts, decisions: [decided, ended], answers: [] }), atomicLeftover(facts, tables.outcome(txid))];
  return wrong.flatMap((text) => (text === null ? [] : [`${text} (${witness.name(txid)})`]));
}

function factsOf({ rows, shelf }: BranchDatabase, id: string): BranchFacts {
  const row = rows.get(id);
  const decided = row?.state === 'committed' || row?.state === 'aborted' ? row.state : null;
  return { vote: voteOf(row), decided, held: shelf.held.get(id) ?? 0, applied: shelf.applied.get(id) ?? 0 };
}

/** An aborted branch counts as a no: what it had said before makes no difference to anybody. */
function voteOf(row: BranchRow | undefined): VoteKind | null {
  if (row === undefined) return null;
  return row.state === 'read-only' ? 'read-only' : row.state === 'aborted' ? 'no' : 'yes';
}

/** No PREPARE may leave before BEGIN is durable. */
function strays({ tables, databases, witness }: DriverWorld): readonly string[] {
  const rows = databases.flatMap((database) => [...database.rows.values()]);
  return rows.flatMap(({ txid, state }) => (
    tables.begins.has(txid) ? [] : [`BEGIN: a branch of ${witness.name(txid)} is ${state}, and the transaction was never begun`]
  ));
}

/** Every piece is on the shelf, held back or handed over. */
function conservation({ tables, size }: DriverWorld, { site, shelf }: BranchDatabase): readonly string[] {
  const isPiece = (id: string): boolean => {
    const at = id.lastIndexOf('/');
    return tables.begins.get(id.slice(0, at) as Txid)?.spec.branches[Number(id.slice(at + 1))]?.operation === 'take';
  };
  const pieces = (counts: ReadonlyMap<string, number>): number => [...counts].reduce((sum, [id, count]) => sum + (isPiece(id) ? count : 0), 0);
  const sum = shelf.available + pieces(shelf.held) + pieces(shelf.applied);
  if (sum === size.pieces && shelf.available >= 0) return [];
  return [`CONSERVATION: ${site} had ${size.pieces} pieces and now has ${sum}, ${shelf.available} of them on the shelf`];
}

function clientViolations({ clients, tables, witness }: DriverWorld): readonly string[] {
  const violations: string[] = [];
  for (const { wish, txids, answers } of clients) {
    for (const txid of txids) {
      const outcome = tables.outcome(txid);
      if (answers.every((answer) => answer === outcome)) continue;
      violations.push(`ANSWER: client ${wish.number} was told ${answers.join(', ')}, ${witness.name(txid)} is ${outcome}`);
    }
  }
  const refused = new Map(clients.map((client) => [client.wish.number, client.refused]));
  const byKey = new Map<string, Txid>();
  for (const [txid, { metadata, idempotency }] of tables.begins) {
    const { client, request } = metadata as { readonly client: number; readonly request: number };
    if (refused.get(client)?.has(request) === true && tables.outcome(txid) === 'committed') {
      violations.push(`REFUSED: request ${request} of client ${client} was told that it never commits, and ${witness.name(txid)} is committed`);
    }
    if (idempotency === null) continue;
    const other = byKey.get(idempotency.key);
    if (other !== undefined) violations.push(`KEY: ${witness.name(other)} and ${witness.name(txid)} have the same idempotency key`);
    byKey.set(idempotency.key, txid);
  }
  return violations;
}
