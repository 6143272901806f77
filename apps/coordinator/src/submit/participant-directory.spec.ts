import { afterEach, describe, expect, it } from '@jest/globals';
import type { RegisteredParticipant } from '#libs/postgres';
import type { BranchSpec, Json } from '#libs/protocol';
import type { Problem, ProblemException } from '#libs/service';
import { ParticipantDirectory } from './participant-directory.js';
import { PayloadSchemas } from './payload-schemas.js';

const DEBIT: Json = { type: 'object', required: ['amountCents'], additionalProperties: false, properties: { amountCents: { type: 'integer', minimum: 1 }, note: { type: 'object', properties: { text: { type: 'string' } } } } };

function participant(name: string, operations: Readonly<Record<string, Json>>, paused = false): RegisteredParticipant {
  return { name, paused, operations: Object.entries(operations).map(([operation, payloadSchema]) => ({ name: operation, payloadSchema })), instances: [] } as unknown as RegisteredParticipant;
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
const refusal = (branches: readonly BranchSpec[]): Promise<Problem> => directory.admit(branches).then(() => { throw new Error('was admitted'); }, (error: ProblemException) => error.problem);
const paths = (problem: Problem): string[] => (problem.errors ?? []).map((e) => e.path);

describe('admission of branches', () => {
  it('takes what is announced, without asking the registry', async () => {
    await startWith(participant('payments', { debit: DEBIT }));
    await directory.admit([branch(), branch()]);
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
    await directory.admit([branch()]);
  });

  it('refuses a paused participant with 503 until it is resumed', async () => {
    await startWith(participant('payments', { debit: DEBIT }, true));
    expect(await refusal([branch()])).toMatchObject({ status: 503, code: 'PARTICIPANT_PAUSED' });
    listed = [participant('payments', { debit: DEBIT })];
    await directory.refresh();
    await directory.admit([branch()]);
  });

  it('takes a changed schema, and lets the participant check where its schema is not valid', async () => {
    await startWith(participant('payments', { debit: DEBIT }));
    listed = [participant('payments', { debit: { type: 'strange' } })];
    await directory.refresh();
    await directory.refresh();
    await directory.admit([branch({ payload: 'anything' })]);
    expect(invalid).toEqual([{ type: 'strange' }]);
  });
});
