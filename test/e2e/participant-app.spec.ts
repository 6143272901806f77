import { randomBytes, randomUUID } from 'node:crypto';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { Injectable, Module } from '@nestjs/common';
import { MemoryTransport } from '#libs/kafka';
import { Commit, Participant, participantApp } from '#libs/participant';
import { createPool, type Pool } from '#libs/postgres';
import { BALLOT_ZERO, makeTxid, type Message, type Txid } from '#libs/protocol';
import type { RunningApp, StartApp } from '#libs/service';
import { startAcceptor } from '../../apps/acceptor/src/app.js';
import { startPayments } from '../../apps/payments/src/app.js';
import { eventually } from '../support/eventually.js';

const SHARDS = 4;
const tokens = { submit: randomBytes(24).toString('hex'), read: randomBytes(24).toString('hex'), operate: randomBytes(24).toString('hex') };
const dataDir = fs.mkdtempSync(path.join(os.tmpdir(), 'concordat-participant-'));
const transport = new MemoryTransport({ coordinatorShards: SHARDS, participantPartitions: SHARDS });
const heard: Message[] = [];
const admin: Pool = createPool(process.env.PG_ADMIN_URL!, { max: 1, applicationName: 'checker' });

const databaseName = `participant_${randomUUID().replaceAll('-', '')}`;
const databaseUrl = new URL(process.env.PG_ADMIN_URL!);
databaseUrl.pathname = `/${databaseName}`;

const env: NodeJS.ProcessEnv = {
  PAYMENTS_DATABASE_URL: databaseUrl.href, PAYMENTS_PORT: '0', NOTES_DATABASE_URL: databaseUrl.href, NOTES_PORT: '0', INSTANCE_ID: 'one', LOG_LEVEL: 'silent',
  CONCORDAT_TOKENS_FILE: path.join(dataDir, 'tokens.json'), PARTICIPANT_PARTITIONS: String(SHARDS), COORDINATOR_SHARDS: String(SHARDS), INQUIRE_AFTER_MS: '50',
};

let app: RunningApp;
let database: Pool;

/** The test is the coordinator: it reads that inbox and writes into the participant's. */
beforeAll(async () => {
  fs.writeFileSync(env['CONCORDAT_TOKENS_FILE']!, JSON.stringify(tokens), { mode: 0o600 });
  await transport.subscribe({ role: 'coordinator' }, {
    assigned: async () => {},
    deliver: async (batch) => {
      heard.push(...batch.messages);
      batch.done();
    },
  });
  app = await startPayments(env, { transport });
  database = createPool(databaseUrl.href, { max: 1, applicationName: 'checker' });
  await database.query("INSERT INTO account (customer_id, balance_cents) VALUES ('c-1', 1000), ('c-2', 1000)");
}, 60_000);

afterAll(async () => {
  await app?.close();
  await transport.close();
  await database?.end();
  await admin.end();
  fs.rmSync(dataDir, { recursive: true, force: true });
});

const newTxid = (): Txid => makeTxid(Math.floor(Math.random() * SHARDS), Date.now(), randomBytes(16));
const tell = (message: Message): Promise<void> => transport.send([{ to: { role: 'participant', name: 'payments' }, message }]);
const prepare = (txid: Txid, amountCents: number, customerId = 'c-1'): Promise<void> => tell({ kind: 'PREPARE', txid, branch: 0, operation: 'debit', payload: { orderId: `o-${txid}`, customerId, amountCents }, peers: ['payments'] });

async function answer<K extends Message['kind']>(kind: K, txid: Txid): Promise<Extract<Message, { kind: K }>> {
  return eventually(`${kind} for ${txid}`, async () => {
    const found = heard.find((message) => message.kind === kind && 'txid' in message && message.txid === txid);
    if (found === undefined) throw new Error(`heard ${heard.map((message) => message.kind).join()}`);
    return found as Extract<Message, { kind: K }>;
  }, 10_000);
}

async function get(pathname: string, token: string | null = tokens.read): Promise<{ status: number; body: any }> {
  const response = await fetch(app.url + pathname, { headers: token === null ? {} : { authorization: `Bearer ${token}` } });
  const text = await response.text();
  return { status: response.status, body: /json/.test(response.headers.get('content-type') ?? '') ? JSON.parse(text) : text };
}

async function connectionsOf(name: string): Promise<number> {
  const { rows: [row] } = await admin.query<{ count: string }>('SELECT count(*) FROM pg_stat_activity WHERE datname = $1 AND application_name = $2', [databaseName, name]);
  return Number(row!.count);
}

describe('a participant service', () => {
  it('announces its operations with their schemas', async () => {
    const announcement = await eventually('announcement', async () => heard.find((message) => message.kind === 'ANNOUNCE') ?? Promise.reject(new Error('none')), 10_000);
    expect(announcement).toMatchObject({ participant: 'payments', instance: 'one', version: '0.1.0', acceptor: true, operations: [{ name: 'debit', uses: ['branch', 'step'], stepKinds: ['pivot', 'retriable'], payloadSchema: { required: ['orderId', 'customerId', 'amountCents'] } }] });
  });

  it('votes, commits, acknowledges, and shows the effects to readers', async () => {
    const txid = newTxid();
    await prepare(txid, 300);
    expect(await answer('VOTE', txid)).toMatchObject({ vote: 'yes' });
    expect((await get('/customers/c-1')).body).toEqual({ customerId: 'c-1', balanceCents: 700, heldCents: 300 });
    await tell({ kind: 'COMMIT', txid, branch: 0 });
    await answer('ACK', txid);
    expect((await get('/customers/c-1')).body).toEqual({ customerId: 'c-1', balanceCents: 700, heldCents: 0 });
  });

  it('refuses with the code of the handler, of the schema, of the missing operation', async () => {
    const [poor, wrong, none] = [newTxid(), newTxid(), newTxid()];
    await prepare(poor, 1_000_000, 'c-2');
    await prepare(wrong, -1, 'c-2');
    await tell({ kind: 'PREPARE', txid: none, branch: 0, operation: 'burn', payload: {}, peers: ['payments'] });
    expect((await answer('VOTE', poor)).reason).toMatchObject({ code: 'INSUFFICIENT_FUNDS' });
    expect((await answer('VOTE', wrong)).reason).toMatchObject({ code: 'INVALID_PAYLOAD', detail: '/amountCents must be >= 1' });
    expect((await answer('VOTE', none)).reason).toMatchObject({ code: 'UNKNOWN_OPERATION' });
  });

  it('lets only readers read, and answers 404 for what does not exist', async () => {
    expect((await get('/customers/c-1', null)).status).toBe(401);
    expect((await get('/customers/c-1', tokens.submit)).status).toBe(403);
    for (const id of ['nobody', '%00', 'x'.repeat(101)]) expect(await get(`/customers/${id}`)).toMatchObject({ status: 404, body: { code: 'UNKNOWN_CUSTOMER' } });
  });

  it('counts votes by code, and what is in doubt with its age', async () => {
    const txid = newTxid();
    await prepare(txid, 1, 'c-2');
    await answer('VOTE', txid);
    const { body } = await get('/metrics');
    expect(body).toMatch(/concordat_participant_votes_total\{protocol="2pc",operation="debit",vote="no",code="INSUFFICIENT_FUNDS"\} 1/);
    expect(body).toMatch(/concordat_participant_votes_total\{protocol="2pc",operation="unknown",vote="no",code="UNKNOWN_OPERATION"\} 1/);
    expect(body).toMatch(/concordat_participant_in_doubt\{protocol="2pc"\} 1\n/);
    expect(body).toMatch(/concordat_participant_in_doubt_oldest_seconds\{protocol="2pc"\} 0?\.?\d+/);
    expect(body).toMatch(/concordat_participant_batch_size_count\{operation="debit",action="prepare"\} [1-9]/);
    expect(body).toMatch(/concordat_participant_parked 0\n/);
    await tell({ kind: 'ABORT', txid, branch: 0, reason: { code: 'CANCELLED' }, ack: true });
    await answer('ACK', txid);
    expect((await get('/metrics')).body).toMatch(/concordat_participant_in_doubt\{protocol="2pc"\} 0\n/);
  });

  it('lists what is in doubt, with its age, to readers', async () => {
    const txid = newTxid();
    await prepare(txid, 1, 'c-2');
    await answer('VOTE', txid);
    expect((await get('/v1/branches/in-doubt', null)).status).toBe(401);
    expect((await get('/v1/branches/in-doubt', tokens.submit)).status).toBe(403);
    const { body } = await get('/v1/branches/in-doubt');
    expect(body).toMatchObject({ participant: 'payments', instance: 'one', count: 1, branches: [{ participant: 'payments', txid, branch: 0, protocol: '2pc', blocked: false }] });
    expect(body.branches[0].ageMs).toBeGreaterThanOrEqual(0);
    await tell({ kind: 'ABORT', txid, branch: 0, reason: { code: 'CANCELLED' }, ack: true });
    await answer('ACK', txid);
    expect((await get('/v1/branches/in-doubt')).body).toMatchObject({ count: 0, branches: [] });
    expect((await get('/v1/branches/parked')).body).toMatchObject({ participant: 'payments', count: 0, branches: [] });
  });

  it('pays as the pivot of a saga, once, and counts that by protocol', async () => {
    const txid = newTxid();
    const before = (await get('/customers/c-2')).body.balanceCents as number;
    const execute = { protocol: 'saga', kind: 'EXECUTE', txid, branch: 2, step: 'debit', stepKind: 'pivot', operation: 'debit', payload: { orderId: `o-${txid}`, customerId: 'c-2', amountCents: 7 }, inputs: {} } as const;
    for (let i = 0; i < 3; i++) await tell(execute);
    await eventually('three answers', async () => { expect(heard.filter((message) => message.kind === 'EXECUTED' && message.txid === txid)).toHaveLength(3); }, 10_000);
    expect((await get('/customers/c-2')).body).toMatchObject({ balanceCents: before - 7, heldCents: 0 });
    const { body } = await get('/metrics');
    expect(body).toMatch(/concordat_participant_votes_total\{protocol="saga",operation="debit",vote="yes",code=""\} 1/);
    expect(body).toMatch(/concordat_participant_handler_calls_total\{protocol="saga",operation="debit",action="execute"\} 1/);
    expect(body).toMatch(/concordat_participant_rows_total\{state="executed"\} 1/);
    await tell({ protocol: 'saga', kind: 'COMPENSATE', txid, branch: 3, step: 'other', reason: { code: 'CANCELLED' } });
    await answer('COMPENSATED', txid);
  });

  it('keeps house: partitions for what is to come are there', async () => {
    await eventually('partitions', async () => {
      const { rows: [row] } = await database.query<{ count: number }>("SELECT count(*)::int AS count FROM pg_inherits WHERE inhparent = 'concordat_branch'::regclass");
      expect(row!.count).toBeGreaterThan(2);
    }, 10_000);
    expect((await get('/metrics')).body).toMatch(/concordat_housekeeping_runs_total\{result="done"\} [1-9]/);
  });

  it('says that it is not ready while its database is away, and votes once it is back', async () => {
    expect((await get('/health/ready')).body).toMatchObject({ status: 'ready', checks: { database: { ok: true }, inbox: { ok: true } } });
    await admin.query(`ALTER DATABASE ${databaseName} ALLOW_CONNECTIONS false`);
    await admin.query('SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1', [databaseName]);
    const txid = newTxid();
    try {
      expect(await get('/health/ready')).toMatchObject({ status: 503, body: { checks: { database: { ok: false } } } });
      expect((await get('/health/live')).status).toBe(200);
      await prepare(txid, 1, 'c-2');
    } finally {
      await admin.query(`ALTER DATABASE ${databaseName} ALLOW_CONNECTIONS true`);
    }
    expect(await answer('VOTE', txid)).toMatchObject({ vote: 'yes' });
    expect((await get('/health/ready')).status).toBe(200);
    await tell({ kind: 'ABORT', txid, branch: 0, reason: { code: 'CANCELLED' }, ack: true });
    await answer('ACK', txid);
  }, 30_000);

  it('frees its database when it is closed, and asks about what it had left in doubt when it is started again', async () => {
    const txid = newTxid();
    await prepare(txid, 5, 'c-2');
    await answer('VOTE', txid);
    await app.close();
    // The server notices the end of a connection a moment after the client.
    await eventually('no connection is left', async () => { expect(await connectionsOf('concordat-payments')).toBe(0); expect(await connectionsOf('concordat-payments-housekeeping')).toBe(0); });
    const before = heard.length;
    app = await startPayments(env, { transport });
    await eventually('an inquiry from the new instance', async () => {
      if (!heard.slice(before).some((message) => message.kind === 'INQUIRY' && message.txid === txid)) throw new Error('none yet');
    }, 10_000);
    await tell({ kind: 'COMMIT', txid, branch: 0 });
    await answer('ACK', txid);
  }, 30_000);
});

describe('an acceptor of its own', () => {
  const name = `acceptor_${randomUUID().replaceAll('-', '')}`;
  const acceptorUrl = new URL(process.env.PG_ADMIN_URL!);
  acceptorUrl.pathname = `/${name}`;
  let acceptor: RunningApp;
  beforeAll(async () => { acceptor = await startAcceptor({ ...env, ACCEPTOR_NAME: 'acceptor-7', ACCEPTOR_DATABASE_URL: acceptorUrl.href, ACCEPTOR_PORT: '0' }, { transport }); }, 60_000);
  afterAll(() => acceptor?.close());

  it('announces itself without operations', async () => {
    const announcement = await eventually('announcement', async () => heard.find((message) => message.kind === 'ANNOUNCE' && message.participant === 'acceptor-7') ?? Promise.reject(new Error('none')), 10_000);
    expect(announcement).toMatchObject({ instance: 'one', acceptor: true, operations: [] });
    expect(acceptor.name).toBe('acceptor-7');
  });

  it('accepts votes and tells the coordinator, and refuses to be a participant', async () => {
    const txid = newTxid();
    await transport.send([{ to: { role: 'acceptor', name: 'acceptor-7' }, message: { protocol: 'paxos-commit', kind: 'PHASE_2A', txid, ballot: BALLOT_ZERO, peers: ['payments'], values: ['prepared'], leader: { role: 'coordinator' } } }]);
    expect(await answer('PHASE_2B', txid)).toMatchObject({ acceptor: 'acceptor-7', ballot: BALLOT_ZERO, values: ['prepared'] });
    const other = newTxid();
    await transport.send([{ to: { role: 'participant', name: 'acceptor-7' }, message: { kind: 'PREPARE', txid: other, branch: 0, operation: 'debit', payload: {}, peers: ['acceptor-7'] } }]);
    expect(await answer('VOTE', other)).toMatchObject({ vote: 'no' });
  });
});

@Injectable()
@Participant('notes')
class HalfNotes {
  @Commit('note')
  commit(): void {}
}
@Module({ providers: [HalfNotes] })
class HalfNotesModule {}
@Module({})
class EmptyModule {}

describe('a start is refused', () => {
  const notes = (module: Parameters<typeof participantApp>[0]['module']): StartApp => participantApp({ name: 'notes', version: '1', defaultPort: 0, module });

  it('when a handler is missing, and leaves nothing open', async () => {
    await expect(notes(HalfNotesModule)(env, { transport })).rejects.toMatchObject({ code: 'INVALID_PARTICIPANT', problem: 'MISSING_HANDLER', message: "operation 'note' of HalfNotes has no prepare handler; add a method with @Prepare or @PrepareMany('note')" });
    await eventually('no connection is left', async () => { expect(await connectionsOf('concordat-notes')).toBe(0); });
  }, 30_000);

  it('when no class serves the participant', async () => {
    await expect(notes(EmptyModule)(env, { transport })).rejects.toMatchObject({ code: 'INVALID_PARTICIPANT', problem: 'UNKNOWN_PARTICIPANT' });
  }, 30_000);

  it.each([
    ['no database', { PAYMENTS_DATABASE_URL: undefined }, /^PAYMENTS_DATABASE_URL is not set; it takes/],
    ['a port that is none', { PAYMENTS_PORT: 'http' }, /^PAYMENTS_PORT got "http"; it takes a whole number/],
    ['no partitions', { PARTICIPANT_PARTITIONS: '0' }, /^PARTICIPANT_PARTITIONS is "0"; it takes/],
    ['the in-process bus, alone in its process', { TRANSPORT: 'memory' }, /^TRANSPORT got "memory" in a process of its own/],
    ['no broker', {}, /^KAFKA_BROKERS is not set; it takes/],
  ])('with one line for %s', async (_what, change, message) => {
    const error = await startPayments({ ...env, ...change }).catch((e: unknown) => e as Error);
    expect(error).toMatchObject({ code: 'INVALID_CONFIGURATION' });
    expect((error as Error).message).toMatch(message);
    expect((error as Error).message).not.toContain('\n');
  });
});
