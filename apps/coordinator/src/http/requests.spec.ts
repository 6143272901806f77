import 'reflect-metadata';
import { describe, expect, it } from '@jest/globals';
import { type ProblemException, ProblemValidationPipe } from '#libs/service';
import { AuditQuery, ListQuery, ParticipantActionBody, TransactionActionBody, WaitQuery } from './requests.js';

const pipe = new ProblemValidationPipe();
const read = (metatype: new () => object, value: object, type: 'query' | 'body' = 'query'): Promise<unknown> => pipe.transform(value, { type, metatype });

async function refusedPaths(metatype: new () => object, value: object, type: 'query' | 'body' = 'query'): Promise<string[]> {
  const error = await read(metatype, value, type).then(() => { throw new Error('was not refused'); }, (e: ProblemException) => e);
  expect(error.problem).toMatchObject({ status: 400, code: 'VALIDATION_FAILED' });
  return error.problem.errors!.map((e) => e.path);
}

describe('the list filters', () => {
  it('are all optional', async () => {
    expect(await read(ListQuery, {})).toEqual({});
  });

  it.each(['pending', 'committed', 'aborted', 'running', 'completed', 'compensating', 'compensated', 'needs-attention'])('take the status %s', async (status) => {
    expect(await read(ListQuery, { status })).toEqual({ status });
  });

  it('turn text into numbers', async () => {
    expect(await read(ListQuery, { limit: '7', status: 'aborted', since: '2026-01-31T12:00:00.5+02:00', until: '2026-02-01' })).toMatchObject({ limit: 7 });
  });

  it.each([
    { status: 'great' }, { protocol: 'x' }, { participant: 'a b' }, { reason: '' }, { since: 'yesterday' }, { until: '2026-01-31 12:00' }, { cursor: '\0' },
    { limit: '0' }, { limit: 'ten' }, { limit: '501' }, { limit: '1.5' }, { limit: '' }, { surprise: '1' }, { status: ['aborted', 'committed'] },
  ])('%j is refused by its name, once', async (query) => {
    expect(await refusedPaths(ListQuery, query)).toEqual(Object.keys(query));
  });

  it('of the audit log are refused alike', async () => {
    expect(await refusedPaths(AuditQuery, { limit: 'x', cursor: '' })).toEqual(['cursor', 'limit']);
  });
});

describe('wait', () => {
  it.each(['0', '5', '0.5', '3600'])('takes %s seconds', async (wait) => {
    expect(await read(WaitQuery, { wait })).toEqual({ wait: Number(wait) });
  });

  it.each(['-1', 'soon', '3601', 'Infinity'])('refuses %s', async (wait) => {
    expect(await refusedPaths(WaitQuery, { wait })).toEqual(['wait']);
  });
});

describe('operator actions', () => {
  it('skip a step that they name, for a reason that they give', async () => {
    const skip = { action: 'skip-step', step: 'confirm', comment: 'done by hand' };
    expect(await read(TransactionActionBody, skip, 'body')).toEqual(skip);
    expect(await refusedPaths(TransactionActionBody, { action: 'skip-step' }, 'body')).toEqual(['comment', 'step']);
    expect(await refusedPaths(TransactionActionBody, { ...skip, step: 'a b' }, 'body')).toEqual(['step']);
    expect(await refusedPaths(TransactionActionBody, { ...skip, step: 7 }, 'body')).toEqual(['step']);
  });

  it('need a comment only to resolve and to skip', async () => {
    expect(await read(TransactionActionBody, { action: 'cancel' }, 'body')).toEqual({ action: 'cancel' });
    expect(await refusedPaths(TransactionActionBody, { action: 'resolve', decision: 'abort' }, 'body')).toEqual(['comment']);
    expect(await read(TransactionActionBody, { action: 'resolve', comment: 'the disk\nis gone' }, 'body')).toMatchObject({ comment: 'the disk\nis gone' });
  });

  it.each<[object, string]>([
    [{ action: 'explode' }, 'action'],
    [{}, 'action'],
    [{ action: 'cancel', comment: 7 }, 'comment'],
    [{ action: 'cancel', comment: 'x'.repeat(1_001) }, 'comment'],
    [{ action: 'cancel', comment: 'a\0' }, 'comment'],
    [{ action: 'resolve', comment: 'x', decision: 'maybe' }, 'decision'],
    [{ action: 'cancel', force: true }, 'force'],
  ])('%j are refused for %s', async (body, path) => {
    expect(await refusedPaths(TransactionActionBody, body, 'body')).toEqual([path]);
  });

  it('on participants are pause and resume', async () => {
    expect(await read(ParticipantActionBody, { action: 'pause', comment: 'stocktaking' }, 'body')).toEqual({ action: 'pause', comment: 'stocktaking' });
    expect(await refusedPaths(ParticipantActionBody, { action: 'stop' }, 'body')).toEqual(['action']);
  });
});
