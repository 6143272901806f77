import { afterEach, describe, expect, it } from '@jest/globals';
import type { RegisteredParticipant } from '#libs/postgres';
import type { AnnouncedOperation, BranchSpec, Json } from '#libs/protocol';
import type { Problem, ProblemException } from '#libs/service';
import { ParticipantDirectory } from './participant-directory.js';
import { PayloadSchemas } from './payload-schemas.js';

const DEBIT: Json = { type: 'object', required: ['amountCents'], additionalProperties: false, properties: { amountCents: { type: 'integer', minimum: 1 }, note: { type: 'object', properties: { text: { type: 'string' } } } } };

const BOTH: Pick<AnnouncedOperation, 'uses' | 'stepKinds'> = { uses: ['branch', 'step'], stepKinds: ['compensatable', 'pivot', 'retriable'] };

function participant(name: string, operations: Readonly<Record<string, Json>>, paused = false, announced: Partial<AnnouncedOperation> = BOTH): RegisteredParticipant {
  return {
    name, paused, lastSeenMs: 0, instances: [{ instance: 'i', version: '1', firstSeenMs: 0, lastSeenMs: 0, live: true, acceptor: false }],
    operations: Object.entries(operations).map(([operation, payloadSchema]) => ({ name: operation, payloadSchema, ...announced }) as AnnouncedOperation),
  };
}

let directory: ParticipantDirectory;
let listed: RegisteredParticipant[];
let lists = 0;
const invalid: Json[] = [];

async function startWith(...participants: RegisteredParticipant[]): Promise<void> {
  listed = participants;
  lists = 0;
  directory = new ParticipantDirectory({ list: async () => { lists++; return listed; } }, new PayloadSchemas((schema) => invalid.push(schema)), (error) => { throw error; });
  await directory.start();
}
afterEach(() => directory.stop());

const branch = (over: Partial<BranchSpec> = {}): BranchSpec => ({ participant: 'payments', operation: 'debit', payload: { amountCents: 1 }, ...over });
const refusal = (branches: readonly BranchSpec[]): Promise<Problem> => directory.admit('branches', branches).then(() => { throw new Error('was admitted'); }, (error: ProblemException) => error.problem);
const paths = (problem: Problem): string[] => (problem.errors ?? []).map((e) => e.path);

describe('admission of branches', () => {
  it('takes what is announced, without asking the registry', async () => {
    await startWith(participant('payments', { debit: DEBIT }));
    await directory.admit('branches', [branch(), branch()]);
    expect(lists).toBe(1);
  });

  it('names every unknown participant', async () => {
    await startWith(participant('payments', { debit: DEBIT }));
    const problem = await refusal([branch({ participant: 'a' }), branch(), branch({ participant: 'b' })]);
    expect([problem.status, problem.code, paths(problem)]).toEqual([422, 'UNKNOWN_PARTICIPANT', ['branches[0].participant', 'branches[2].participant']]);
  });

  it('says what is offered instead of an unknown operation', async () => {
    await startWith(participant('payments', { debit: DEBIT, credit: DEBIT }));
    const problem = await refusal([branch({ operation: 'refund' })]);
    expect([problem.code, paths(problem)]).toEqual(['UNKNOWN_OPERATION', ['branches[0].operation']]);
    expect(problem.detail).toContain('debit, credit');
  });

  it('checks payloads against the announced schema and names each wrong field', async () => {
    await startWith(participant('payments', { debit: DEBIT }));
    const problem = await refusal([branch(), branch({ payload: { amountCents: 'ten', tip: 1, note: { text: 5 } } }), branch({ payload: {} }), branch({ payload: null })]);
    expect([problem.status, problem.code]).toEqual([422, 'INVALID_PAYLOAD']);
    expect(paths(problem).sort()).toEqual(['branches[1].payload.amountCents', 'branches[1].payload.note.text', 'branches[1].payload.tip', 'branches[2].payload.amountCents', 'branches[3].payload']);
  });

  it('learns of a participant that announced itself a moment ago before it refuses', async () => {
    await startWith();
    listed = [participant('payments', { debit: DEBIT })];
    await new Promise((resolve) => setTimeout(resolve, 250));
    await directory.admit('branches', [branch()]);
  });

  it('refuses a paused participant with 503 until it is resumed', async () => {
    await startWith(participant('payments', { debit: DEBIT }, true));
    expect(await refusal([branch()])).toMatchObject({ status: 503, code: 'PARTICIPANT_PAUSED' });
    listed = [participant('payments', { debit: DEBIT })];
    await directory.refresh();
    await directory.admit('branches', [branch()]);
  });

  it('takes a changed schema, and lets the participant check where its schema is not valid', async () => {
    await startWith(participant('payments', { debit: DEBIT }));
    listed = [participant('payments', { debit: { type: 'strange' } })];
    await directory.refresh();
    await directory.refresh();
    await directory.admit('branches', [branch({ payload: 'anything' })]);
    expect(invalid).toEqual([{ type: 'strange' }]);
  });
});

describe('the use of an operation', () => {
  const step = (kind: 'compensatable' | 'pivot' | 'retriable') => ({ ...branch(), kind });
  const refusedSteps = (...steps: ReturnType<typeof step>[]): Promise<Problem> => directory.admit('steps', steps).then(() => { throw new Error('was admitted'); }, (error: ProblemException) => error.problem);

  it('must be announced for a branch', async () => {
    await startWith(participant('payments', { debit: DEBIT }, false, { uses: ['step'], stepKinds: ['pivot'] }));
    const problem = await refusal([branch()]);
    expect([problem.status, problem.code, paths(problem)]).toEqual([422, 'UNSUITABLE_OPERATION', ['branches[0].operation']]);
    expect(problem.detail).toContain('step of a saga');
  });

  it('must be announced for a step', async () => {
    await startWith(participant('payments', { debit: DEBIT }, false, { uses: ['branch'], stepKinds: [] }));
    const problem = await refusedSteps(step('pivot'));
    expect([problem.status, problem.code, paths(problem)]).toEqual([422, 'UNSUITABLE_OPERATION', ['steps[0].operation']]);
  });

  it('must be announced for the kind of step', async () => {
    await startWith(participant('payments', { debit: DEBIT }, false, { uses: ['step'], stepKinds: ['pivot', 'retriable'] }));
    const problem = await refusedSteps(step('pivot'), step('compensatable'), step('retriable'));
    expect([problem.code, paths(problem)]).toEqual(['UNSUITABLE_OPERATION', ['steps[1].kind']]);
    expect(problem.detail).toContain('no compensate handler; it can be pivot, retriable');
  });

  it('is that of branches where an instance of an earlier release announces none', async () => {
    await startWith(participant('payments', { debit: DEBIT }, false, {}));
    await directory.admit('branches', [branch()]);
    expect(await refusedSteps(step('pivot'))).toMatchObject({ code: 'UNSUITABLE_OPERATION' });
  });

  it('is checked with payloads named by the step', async () => {
    await startWith(participant('payments', { debit: DEBIT }));
    await directory.admit('steps', [step('compensatable'), step('retriable')]);
    expect(paths(await refusedSteps(step('pivot'), { ...step('retriable'), payload: {} }))).toEqual(['steps[1].payload.amountCents']);
  });
});

describe('acceptors', () => {
  const hosting = (one: RegisteredParticipant): RegisteredParticipant => ({ ...one, instances: one.instances.map((instance) => ({ ...instance, acceptor: true })) });
  const admit = (): Promise<unknown> => directory.admit('branches', [branch()], ['payments', 'witness']).then(() => 'admitted', (error: ProblemException) => error.problem);

  it('must have announced themselves, or paxos-commit is refused for now', async () => {
    await startWith(hosting(participant('payments', { debit: DEBIT })));
    expect(await admit()).toMatchObject({ status: 503, code: 'ACCEPTORS_UNKNOWN', missing: ['witness'] });
    listed = [...listed, participant('witness', {})];
    await directory.refresh();
    expect(await admit()).toMatchObject({ status: 503, missing: ['witness'] });
    listed = [listed[0]!, hosting(participant('witness', {}))];
    await directory.refresh();
    expect(await admit()).toBe('admitted');
  });

  it('that have been silent for so long that their instances are forgotten do not hold the others up', async () => {
    await startWith(hosting(participant('payments', { debit: DEBIT })), { ...participant('witness', {}), instances: [], lastSeenMs: null });
    expect(await admit()).toBe('admitted');
  });
});
