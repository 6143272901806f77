import { beforeEach, describe, expect, it } from '@jest/globals';
import { makeTxid, shardOf, type Txid } from '#libs/protocol';
import { pino } from 'pino';
import type { AuditEntry } from '#libs/postgres';
import type { ActInput, TransactionView } from '#libs/runtime';
import type { ProblemException } from '#libs/service';
import type { TransactionActionBody } from '../http/requests.js';
import type { ParticipantDirectory } from '../submit/participant-directory.js';
import { stepView, transactionView } from '../testing/transaction-view.js';
import { Operator } from './operator.js';

const txid = makeTxid(3, 1_700_000_000_000, new Uint8Array(8));
let view: TransactionView | null;
let ownedHere: boolean;
let inputs: ActInput[];
let audit: AuditEntry[];
let auditIsAway: boolean;
let logged: string[];
/** What the machine makes of an input. */
let effect: (input: ActInput) => Partial<TransactionView>;
let operator: Operator;

function transaction(over: Partial<TransactionView> = {}): TransactionView {
  return transactionView({ txid, ...over });
}

const COMPLETING = {
  protocol: 'saga', status: 'running', decision: 'COMMIT',
  branches: [stepView('place', 'compensatable', 'done'), stepView('debit', 'pivot', 'done'), stepView('confirm', 'retriable', 'sent')],
} as const;

beforeEach(() => {
  view = transaction();
  ownedHere = true;
  inputs = [];
  audit = [];
  auditIsAway = false;
  logged = [];
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
    audit: { append: async (entry) => { if (auditIsAway) throw new Error('away'); audit.push(entry); } },
    shardList: async () => [{ shard: shardOf(txid), epoch: 2, owner: 'coordinator-1', acquiredAtMs: 0 }],
    logger: pino({ level: 'error' }, { write: (line: string) => { logged.push(line); } }),
  });
});

const act = (body: TransactionActionBody): ReturnType<Operator['act']> => operator.act(txid, body, 'token:operate');
const refusal = (body: TransactionActionBody): Promise<unknown[]> => act(body).then(() => { throw new Error('was not refused'); }, (error: ProblemException) => [error.getStatus(), error.code]);

describe('actions on transactions', () => {
  it('cancel aborts, with the comment as the reason, and is audited', async () => {
    effect = (input) => ({ status: 'aborted', decision: 'ABORT', reason: input.kind === 'CANCEL' ? input.reason : null });
    expect(await act({ action: 'cancel', comment: 'changed my mind' })).toMatchObject({ done: true, view: { status: 'aborted', reason: { code: 'CANCELLED', detail: 'changed my mind' } } });
    expect(audit).toEqual([{ actor: 'token:operate', action: 'cancel', target: txid, comment: 'changed my mind', result: 'done' }]);
  });

  it('cancel that loses against the last vote says so', async () => {
    effect = () => ({ status: 'committed', decision: 'COMMIT' });
    expect(await refusal({ action: 'cancel' })).toEqual([409, 'ALREADY_DECIDED']);
    expect(audit).toMatchObject([{ result: 'ALREADY_DECIDED' }]);
  });

  it('an effect that is still to come is answered as taken', async () => {
    expect(await act({ action: 'cancel' })).toMatchObject({ done: false, view: { status: 'pending' } });
    expect(audit).toMatchObject([{ result: 'taken' }]);
  });

  it('resolve of a committed transaction stops waiting', async () => {
    view = transaction({ status: 'committed', decision: 'COMMIT' });
    effect = () => ({ finishedAtMs: 5 });
    expect(await act({ action: 'resolve', comment: 'gone', decision: 'commit' })).toMatchObject({ done: true, view: { finishedAtMs: 5 } });
    expect(inputs).toEqual([{ kind: 'RESOLVE', reason: { code: 'RESOLVED_BY_OPERATOR', detail: 'gone' } }]);
  });

  it.each<[string, Partial<TransactionView>, TransactionActionBody, number, string]>([
    ['cancel of a decided one', { status: 'committed', decision: 'COMMIT' }, { action: 'cancel' }, 409, 'ALREADY_DECIDED'],
    ['retry-now of a finished one', { status: 'aborted', finishedAtMs: 5 }, { action: 'retry-now' }, 409, 'ALREADY_FINISHED'],
    ['resolve of an undecided one to commit', {}, { action: 'resolve', comment: 'x', decision: 'commit' }, 409, 'DECISION_CONFLICT'],
    ['resolve of a committed one to abort', { status: 'committed', decision: 'COMMIT' }, { action: 'resolve', comment: 'x', decision: 'abort' }, 409, 'DECISION_CONFLICT'],
    ['skip-step of 2pc', {}, { action: 'skip-step', step: 'a', comment: 'x' }, 422, 'ACTION_NOT_AVAILABLE'],
    ['a step without skip-step', {}, { action: 'retry-now', step: 'a' }, 422, 'ACTION_NOT_AVAILABLE'],
    ['cancel of a saga that is decided and running', { ...COMPLETING }, { action: 'cancel' }, 409, 'ALREADY_DECIDED'],
    ['resolve of an undecided saga', { protocol: 'saga', status: 'running' }, { action: 'resolve', comment: 'x' }, 409, 'NOT_DECIDED'],
    ['skip-step of an undecided saga', { ...COMPLETING, decision: null }, { action: 'skip-step', step: 'confirm', comment: 'x' }, 409, 'NOT_DECIDED'],
    ['skip-step of a step that is not there', { ...COMPLETING }, { action: 'skip-step', step: 'ship', comment: 'x' }, 422, 'UNKNOWN_STEP'],
    ['skip-step of a done step', { ...COMPLETING }, { action: 'skip-step', step: 'place', comment: 'x' }, 409, 'STEP_NOT_OUTSTANDING'],
    ['skip-step of a pivot', { ...COMPLETING, decision: 'ABORT', status: 'compensating' }, { action: 'skip-step', step: 'debit', comment: 'x' }, 409, 'STEP_NOT_OUTSTANDING'],
    ['a decision without resolve', {}, { action: 'cancel', decision: 'abort' }, 422, 'ACTION_NOT_AVAILABLE'],
  ])('%s is refused without touching the transaction, and audited', async (_what, over, body, status, code) => {
    view = transaction(over);
    expect(await refusal(body)).toEqual([status, code]);
    expect([inputs, audit]).toEqual([[], [expect.objectContaining({ action: body.step === undefined ? body.action : `${body.action} ${body.step}`, result: code })]]);
  });

  it('skip-step gives the machine the step and the comment as its reason', async () => {
    view = transaction(COMPLETING);
    effect = () => ({ branches: [...COMPLETING.branches.slice(0, 2), stepView('confirm', 'retriable', 'skipped')] });
    expect(await act({ action: 'skip-step', step: 'confirm', comment: 'done by hand' })).toMatchObject({ done: true });
    expect(inputs).toEqual([{ kind: 'SKIP_STEP', step: 'confirm', reason: { code: 'RESOLVED_BY_OPERATOR', detail: 'done by hand' } }]);
    expect(audit).toEqual([{ actor: 'token:operate', action: 'skip-step confirm', target: txid, comment: 'done by hand', result: 'done' }]);
  });

  it('skip-step of a compensation that waits for others is taken', async () => {
    view = transaction({ protocol: 'saga', status: 'needs-attention', decision: 'ABORT', branches: [stepView('place', 'compensatable', 'done')] });
    expect(await act({ action: 'skip-step', step: 'place', comment: 'gone' })).toMatchObject({ done: false });
  });

  it('retry-now and resolve act on a saga that needs a person', async () => {
    view = transaction({ ...COMPLETING, status: 'needs-attention' });
    expect(await act({ action: 'retry-now' })).toMatchObject({ done: true });
    effect = () => ({ finishedAtMs: 9, status: 'completed' });
    expect(await act({ action: 'resolve', comment: 'by hand' })).toMatchObject({ done: true });
    expect(inputs.map(({ kind }) => kind)).toEqual(['RETRY_NOW', 'RESOLVE']);
  });

  it('that fail are audited too', async () => {
    effect = () => { throw new Error('the machine broke'); };
    await expect(act({ action: 'retry-now' })).rejects.toThrow('the machine broke');
    expect(audit).toMatchObject([{ action: 'retry-now', result: 'FAILED' }]);
  });

  it('that were taken are answered so when the audit log is away, and kept in the process log', async () => {
    auditIsAway = true;
    expect(await act({ action: 'retry-now' })).toMatchObject({ done: true });
    expect(logged.join()).toContain('"action":"retry-now"');
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
