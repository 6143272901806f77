import { randomBytes, randomUUID } from 'node:crypto';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { Injectable, Module } from '@nestjs/common';
import { MemoryTransport } from '#libs/kafka';
import { Commit, Participant, participantApp } from '#libs/participant';
import { createPool, type Pool } from '#libs/postgres';
import { makeTxid, type Message, type Txid } from '#libs/protocol';
import type { RunningApp, StartApp } from '#libs/service';
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
    expect(announcement).toMatchObject({ participant: 'payments', instance: 'one', version: '0.1.0', operations: [{ name: 'debit', payloadSchema: { required: ['orderId', 'customerId', 'amountCents'] } }] });
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
    expect(body).toMatch(/concordat_participant_votes_total\{operation="debit",vote="no",code="INSUFFICIENT_FUNDS"\} 1/);
    expect(body).toMatch(/concordat_participant_votes_total\{operation="unknown",vote="no",code="UNKNOWN_OPERATION"\} 1/);
    expect(body).toMatch(/concordat_participant_in_doubt 1\n/);
    expect(body).toMatch(/concordat_participant_in_doubt_oldest_seconds 0?\.?\d+/);
    expect(body).toMatch(/concordat_participant_batch_size_count\{operation="debit",action="prepare"\} [1-9]/);
    expect(body).toMatch(/concordat_participant_parked 0\n/);
    await tell({ kind: 'ABORT', txid, branch: 0, reason: { code: 'CANCELLED' }, ack: true });
    await answer('ACK', txid);
    expect((await get('/metrics')).body).toMatch(/concordat_participant_in_doubt 0\n/);
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
    await eventually('no connection is left', async () => { expect(await connectionsOf('concordat-payments')).toBe(0); });
    const before = heard.length;
    app = await startPayments(env, { transport });
    await eventually('an inquiry from the new instance', async () => {
      if (!heard.slice(before).some((message) => message.kind === 'INQUIRY' && message.txid === txid)) throw new Error('none yet');
    }, 10_000);
    await tell({ kind: 'COMMIT', txid, branch: 0 });
    await answer('ACK', txid);
  }, 30_000);
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
    expect(await connectionsOf('concordat-notes')).toBe(0);
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
