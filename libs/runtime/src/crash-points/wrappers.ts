import type { Envelope, ProtocolName, Txid } from '#libs/protocol';
import type { BranchStore, BranchTransaction, CoordinatorFlush, CoordinatorStore, OutcomeEvent, SiteRows, Transport } from '../ports.js';
import { COORDINATOR_RECORDS, kindOf, senderOf, SITE_WRITERS, type CrashRole, type ProcessRole } from './kinds.js';
import { crashPointName, type CrashAct } from './names.js';
import type { CrashTrigger } from './trigger.js';

interface Happening {
  readonly role: CrashRole;
  readonly act: CrashAct;
  readonly kind?: string;
}

/** Runs `work` between its two crash points. Each kind counts once, however many of it there are. */
async function between<T>(trigger: CrashTrigger, happenings: readonly Happening[], work: () => Promise<T>): Promise<T> {
  hit(trigger, 'before', happenings);
  const result = await work();
  hit(trigger, 'after', happenings);
  return result;
}

function hit(trigger: CrashTrigger, when: 'before' | 'after', happenings: readonly Happening[]): void {
  trigger.hit(new Set(happenings.map(({ role, act, kind }) => crashPointName(role, when, act, kind))));
}

export function crashingTransport(transport: Transport, role: ProcessRole, trigger: CrashTrigger): Transport {
  const happenings = (envelopes: readonly Envelope[], outcomes: readonly OutcomeEvent[]): readonly Happening[] => [
    ...envelopes.flatMap(({ message }): readonly Happening[] => {
      const sender = senderOf(message, role);
      return sender === null ? [] : [{ role: sender, act: 'send', kind: kindOf(message) }];
    }),
    ...outcomes.map(({ protocol }) => ({ role, act: 'send', kind: `${protocol}/OUTCOME` }) as const),
  ];
  return {
    send: (envelopes, outcomes = []) => between(trigger, happenings(envelopes, outcomes), () => transport.send(envelopes, outcomes)),
    subscribe: (inbox, subscriber) => transport.subscribe(inbox, subscriber),
    healthy: () => transport.healthy(),
    close: () => transport.close(),
  };
}

export function crashingCoordinatorStore(store: CoordinatorStore, trigger: CrashTrigger): CoordinatorStore {
  const protocols = new Map<Txid, ProtocolName>();
  const write = (kinds: readonly string[]): readonly Happening[] => kinds.map((kind) => ({ role: 'coordinator', act: 'write', kind }));
  return {
    acquireShards: (shards, owner) => between(trigger, write(['EPOCH']), () => store.acquireShards(shards, owner)),
    presumeAbort: (txids, atMs) => between(trigger, write(['PRESUMED_ABORT']), () => store.presumeAbort(txids, atMs)),
    shardEpochs: (shards) => store.shardEpochs(shards),
    lookUp: (txids) => store.lookUp(txids),
    async loadUnfinished(shard, after, limit) {
      const page = await store.loadUnfinished(shard, after, limit);
      for (const { begin: { spec } } of page) protocols.set(spec.txid, spec.protocol);
      return page;
    },
    async flush(batch) {
      for (const { spec } of batch.begins) protocols.set(spec.txid, spec.protocol);
      const result = await between(trigger, write(recordsOf(batch, protocols)), () => store.flush(batch));
      for (const { txid } of batch.ends) protocols.delete(txid);
      return result;
    },
  };
}

function recordsOf({ begins, progress, decisions, ends }: CoordinatorFlush, protocols: ReadonlyMap<Txid, ProtocolName>): readonly string[] {
  const named = (txid: Txid, kind: string): string => `${protocols.get(txid) ?? firstWith(kind)}/${kind}`;
  return [
    ...begins.map(({ spec }) => `${spec.protocol}/BEGIN`),
    ...progress.map(({ txid, kind }) => named(txid, kind)),
    ...decisions.map(({ txid }) => named(txid, 'DECIDE')),
    ...ends.map(({ txid }) => named(txid, 'END')),
  ];
}

/** Only for a transaction whose END was written before: a repetition then. */
function firstWith(kind: string): string {
  return Object.entries(COORDINATOR_RECORDS).find(([, kinds]) => kind in kinds)?.[0] ?? 'unknown';
}

/** The flush of a local transaction is its COMMIT: handlers have run by then, and all rows have been sent to the database. */
export function crashingBranchStore<Handle>(store: BranchStore<Handle>, trigger: CrashTrigger): BranchStore<Handle> {
  return {
    loadUndecided: (after, limit) => store.loadUndecided(after, limit),
    isTransient: (error) => store.isTransient(error),
    async transact(work) {
      const saved: Happening[] = [];
      const result = await store.transact(async (tx) => {
        const answer = await work(noting(tx, saved));
        hit(trigger, 'before', saved);
        return answer;
      });
      hit(trigger, 'after', saved);
      return result;
    },
  };
}

function noting<Handle>(tx: BranchTransaction<Handle>, saved: Happening[]): BranchTransaction<Handle> {
  return {
    handle: tx.handle,
    load: (keys, expected) => tx.load(keys, expected),
    savepoint: (work, release) => tx.savepoint(work, release),
    ...(tx.sent === undefined ? {} : { sent: () => tx.sent!() }),
    save(rows) {
      saved.push(...rowsOf('branches', rows), ...rowsOf('acceptors', rows), ...rowsOf('leaders', rows));
      return tx.save(rows);
    },
  };
}

function rowsOf<K extends keyof SiteRows>(kind: K, rows: SiteRows): readonly Happening[] {
  const { role, kindOf: nameOf } = SITE_WRITERS[kind];
  return rows[kind].map((row) => ({ role, act: 'write', kind: nameOf(row) }));
}

export interface SavingOffsets {
  before(): void;
  after(): void;
}

export function crashingOffsets(role: ProcessRole, trigger: CrashTrigger): SavingOffsets {
  const saving: readonly Happening[] = [{ role, act: 'save-offsets' }];
  return { before: () => hit(trigger, 'before', saving), after: () => hit(trigger, 'after', saving) };
}
