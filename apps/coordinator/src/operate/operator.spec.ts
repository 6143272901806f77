import { beforeEach, describe, expect, it } from '@jest/globals';
import { makeTxid, shardOf, type Txid } from '#libs/protocol';
import type { AuditEntry } from '#libs/postgres';
import type { ActInput, TransactionView } from '#libs/runtime';
import type { ProblemException } from '#libs/service';
import type { TransactionActionBody } from '../http/requests.js';
import type { ParticipantDirectory } from '../submit/participant-directory.js';
import { Operator } from './operator.js';

const txid = makeTxid(3, 1_700_000_000_000, new Uint8Array(8));
let view: TransactionView | null;
let ownedHere: boolean;
let inputs: ActInput[];
let audit: AuditEntry[];
/** What the machine makes of an input. */
let effect: (input: ActInput) => Partial<TransactionView>;
let operator: Operator;

function transaction(over: Partial<TransactionView> = {}): TransactionView {
  return { txid, protocol: '2pc', status: 'pending', reason: null, branches: [], createdAtMs: 0, deadlineMs: 0, decidedAtMs: null, finishedAtMs: null, metadata: null, ...over };
}

beforeEach(() => {
  view = transaction();
  ownedHere = true;
  inputs = [];
  audit = [];
  effect = () => ({});
  const act = async (_id: Txid, input: ActInput): Promise<TransactionView | null> => {
    if (!ownedHere || view === null) return null;
    inputs.push(input);
    return (view = { ...view, ...effect(input) });
  };
  operator = new Operator({
    driver: { act, settled: async () => view },
    lookup: { find: async () => view },
    registry: { setPaused: async (name) => name === 'inventory' },
    directory: { refresh: async () => undefined, get: (name: string) => ({ name }) } as unknown as ParticipantDirectory,
    audit: { append: async (entry) => { audit.push(entry); } },
    shardList: async () => [{ shard: shardOf(txid), epoch: 2, owner: 'coordinator-1', acquiredAtMs: 0 }],
  });
});

const act = (body: TransactionActionBody): ReturnType<Operator['act']> => operator.act(txid, body, 'token:operate');
const refusal = (body: TransactionActionBody): Promise<unknown[]> => act(body).then(() => { throw new Error('was not refused'); }, (error: ProblemException) => [error.getStatus(), error.code]);

describe('actions on transactions', () => {
  it('cancel aborts, with the comment as the reason, and is audited', async () => {
    effect = (input) => ({ status: 'aborted', reason: input.kind === 'CANCEL' ? input.reason : null });
    expect(await act({ action: 'cancel', comment: 'changed my mind' })).toMatchObject({ done: true, view: { status: 'aborted', reason: { code: 'CANCELLED', detail: 'changed my mind' } } });
    expect(audit).toEqual([{ actor: 'token:operate', action: 'cancel', target: txid, comment: 'changed my mind', result: 'done' }]);
  });

  it('cancel that loses against the last vote says so', async () => {
    effect = () => ({ status: 'committed' });
    expect(await refusal({ action: 'cancel' })).toEqual([409, 'ALREADY_DECIDED']);
    expect(audit).toMatchObject([{ result: 'ALREADY_DECIDED' }]);
  });

  it('an effect that is still to come is answered as taken', async () => {
    expect(await act({ action: 'cancel' })).toMatchObject({ done: false, view: { status: 'pending' } });
    expect(audit).toMatchObject([{ result: 'taken' }]);
  });

  it('resolve of a committed transaction stops waiting', async () => {
    view = transaction({ status: 'committed' });
    effect = () => ({ finishedAtMs: 5 });
    expect(await act({ action: 'resolve', comment: 'gone', decision: 'commit' })).toMatchObject({ done: true, view: { finishedAtMs: 5 } });
    expect(inputs).toEqual([{ kind: 'RESOLVE', reason: { code: 'RESOLVED_BY_OPERATOR', detail: 'gone' } }]);
  });

  it.each<[string, Partial<TransactionView>, TransactionActionBody, number, string]>([
    ['cancel of a decided one', { status: 'committed' }, { action: 'cancel' }, 409, 'ALREADY_DECIDED'],
    ['retry-now of a finished one', { status: 'aborted', finishedAtMs: 5 }, { action: 'retry-now' }, 409, 'ALREADY_FINISHED'],
    ['resolve of an undecided one to commit', {}, { action: 'resolve', comment: 'x', decision: 'commit' }, 409, 'DECISION_CONFLICT'],
    ['resolve of a committed one to abort', { status: 'committed' }, { action: 'resolve', comment: 'x', decision: 'abort' }, 409, 'DECISION_CONFLICT'],
    ['skip-step of 2pc', {}, { action: 'skip-step' }, 422, 'ACTION_NOT_AVAILABLE'],
    ['a decision without resolve', {}, { action: 'cancel', decision: 'abort' }, 422, 'ACTION_NOT_AVAILABLE'],
  ])('%s is refused without touching the transaction, and audited', async (_what, over, body, status, code) => {
    view = transaction(over);
    expect(await refusal(body)).toEqual([status, code]);
    expect([inputs, audit]).toEqual([[], [expect.objectContaining({ action: body.action, result: code })]]);
  });

  it('of another owner are refused with its name', async () => {
    ownedHere = false;
    const error = await act({ action: 'retry-now' }).catch((e: ProblemException) => e) as ProblemException;
    expect(error.problem).toMatchObject({ status: 409, code: 'NOT_OWNER', owner: 'coordinator-1', shard: 3 });
  });

  it('that do not exist are 404 and leave no trace', async () => {
    view = null;
    expect(await refusal({ action: 'cancel' })).toEqual([404, 'UNKNOWN_TRANSACTION']);
    expect(audit).toEqual([]);
  });
});

describe('actions on participants', () => {
  it('are audited', async () => {
    await operator.pauseOrResume('inventory', { action: 'pause', comment: 'stocktaking' }, 'token:operate');
    expect(audit).toEqual([{ actor: 'token:operate', action: 'pause', target: 'participant/inventory', comment: 'stocktaking', result: 'done' }]);
  });

  it.each(['nobody', 'a\0b', ''])('of nobody (%j) are 404', async (name) => {
    await expect(operator.pauseOrResume(name, { action: 'pause' }, 'x')).rejects.toMatchObject({ code: 'UNKNOWN_PARTICIPANT' });
  });
});
