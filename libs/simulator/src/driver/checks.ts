import type { SagaSpec, Txid, VoteKind } from '#libs/protocol';
import { type AnyBranchRow, CoordinatorDriver } from '#libs/runtime';
import { atomicLeftover, atomicViolation, type BranchFacts } from '../atomic.js';
import { type BranchDatabase, isUndecided } from './branch-database.js';
import { bare } from './outcomes.js';
import type { DriverWorld } from './world.js';

/** What still has to happen; empty when everything has ended. */
export function unfinished(world: DriverWorld): readonly string[] {
  const { tables, witness, databases, clients, bus, instances } = world;
  return [
    ...clients.flatMap(({ isDone, wish }) => (isDone ? [] : [`client ${wish.number} has no answer`])),
    ...[...tables.open].map((txid) => `${witness.name(txid)} has no END`),
    ...databases.flatMap(({ site, rows }) => (
      [...rows.values()].flatMap((row) => (isUndecided(row) ? [`${witness.name(row.txid)}: ${site}/${row.branch} is still ${row.state}`] : []))
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
    ...untold(world),
    ...strays(world),
    ...world.databases.flatMap((database) => conservation(world, database)),
    ...clientViolations(world),
  ];
}

function transactionViolations(world: DriverWorld, txid: Txid): readonly string[] {
  const { tables, databases, witness } = world;
  const { spec } = tables.begins.get(txid)!;
  const register = tables.register.get(txid);
  const decided = register === undefined ? null : register.decision === 'COMMIT' ? 'committed' : 'aborted';
  const end = tables.ends.get(txid);
  const ended = end === undefined ? null : bare(end.outcome);
  const leftover = tables.progressOf(txid).length > 0 && end !== undefined ? 'PROGRESS: rows are left behind END' : null;
  if (spec.protocol === 'saga') {
    const wrong = [...sagaViolations(world, spec), ...(decided !== null && ended !== null && decided !== ended ? ['OUTCOME: register and END differ'] : []), leftover];
    return wrong.flatMap((text) => (text === null ? [] : [`${text} (${witness.name(txid)})`]));
  }
  const facts = spec.branches.map(({ participant }, branch) => factsOf(databases.find(({ site }) => site === participant)!, `${txid}/${branch}`));
  const wrong = [atomicViolation({ branches: facts, decisions: [decided, ended], answers: [] }), atomicLeftover(facts, tables.outcome(txid)), leftover];
  return wrong.flatMap((text) => (text === null ? [] : [`${text} (${witness.name(txid)})`]));
}

/**
 * Once it has ended: completed means that every step has its effect once; compensated means that none has, and that the pivot and what comes
 * after it never will. Steps that an operator has skipped are exempt.
 */
function sagaViolations({ tables, databases }: DriverWorld, spec: SagaSpec): readonly string[] {
  const outcome = tables.outcome(spec.txid);
  const skipped = (tables.ends.get(spec.txid)?.branches ?? []).map((report) => 'state' in report && report.state === 'skipped');
  return spec.steps.flatMap(({ participant, kind }, i) => {
    const { rows, shelf } = databases.find(({ site }) => site === participant)!;
    const id = `${spec.txid}/${i}`;
    const row = rows.get(id)?.state ?? 'none';
    const applied = shelf.applied.get(id) ?? 0;
    const held = shelf.held.get(id) ?? 0;
    const due = row === 'executed' ? 1 : 0;
    if (held !== 0 || applied !== due) return [`EFFECTS: step ${i} is ${row} and has ${applied} effects, ${held} held`];
    if (skipped[i] === true || outcome === null) return [];
    if (outcome === 'committed' && row !== 'executed') return [`OUTCOME: completed, and step ${i} is ${row}`];
    if (outcome === 'aborted' && row === 'executed') return [`OUTCOME: compensated, and step ${i} (${kind}) is executed`];
    return [];
  });
}

function factsOf({ rows, shelf }: BranchDatabase, id: string): BranchFacts {
  const row = rows.get(id);
  const decided = row?.state === 'committed' || row?.state === 'aborted' ? row.state : null;
  return { vote: voteOf(row), decided, held: shelf.held.get(id) ?? 0, applied: shelf.applied.get(id) ?? 0 };
}

/** An aborted branch counts as a no: what it had said before makes no difference to anybody. */
function voteOf(row: AnyBranchRow | undefined): VoteKind | null {
  if (row === undefined) return null;
  const isReadOnly = row.state === 'read-only' || (row.protocol === '3pc' && row.readOnly && row.state !== 'aborted');
  return isReadOnly ? 'read-only' : row.state === 'aborted' ? 'no' : 'yes';
}

/** At least one outcome event per transaction, whatever was down in between. */
function untold({ tables, outcomesTold, witness }: DriverWorld): readonly string[] {
  const missing = [...tables.begins.keys()].filter((txid) => tables.outcome(txid) !== null && !outcomesTold.has(txid));
  return missing.map((txid) => `EVENT: ${witness.name(txid)} is ${tables.outcome(txid)} and has no outcome event`);
}

/** No PREPARE may leave before BEGIN is durable. */
function strays({ tables, databases, witness }: DriverWorld): readonly string[] {
  const rows: readonly AnyBranchRow[] = databases.flatMap((database) => [...database.rows.values()]);
  return rows.flatMap(({ txid, state }) => (
    tables.begins.has(txid) ? [] : [`BEGIN: a branch of ${witness.name(txid)} is ${state}, and the transaction was never begun`]
  ));
}

/** Every piece is on the shelf, held back or handed over. */
function conservation({ tables, size }: DriverWorld, { site, shelf }: BranchDatabase): readonly string[] {
  const isPiece = (id: string): boolean => {
    const at = id.lastIndexOf('/');
    const spec = tables.begins.get(id.slice(0, at) as Txid)?.spec;
    const parts = spec === undefined ? [] : spec.protocol === 'saga' ? spec.steps : spec.branches;
    return parts[Number(id.slice(at + 1))]?.operation === 'take';
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
