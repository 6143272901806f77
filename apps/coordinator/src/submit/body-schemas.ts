import { MAX_SAGA_STEPS, PROTOCOL_NAMES } from '#libs/protocol';
import type { BodyLimits, SagaDefaults } from '../config.js';

/** JSON Schemas of the body of `POST /v1/transactions`, for validation and for the API's documentation alike. */

export const BRANCH_PROTOCOLS = ['2pc', '3pc', 'paxos-commit'] as const;

export const MAX_BRANCHES = 64;
export const MAX_ATTEMPTS = 1_000;

const NAME = '^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$';

type Schema = Record<string, unknown>;

const WORK = {
  participant: { type: 'string', pattern: NAME, description: 'Name of a participant of GET /v1/participants' },
  operation: { type: 'string', minLength: 1, maxLength: 100 },
  payload: { description: 'Any JSON that the operation\'s schema allows' },
};

function duration(maximum: number, description: string, fallback?: number): Schema {
  return { type: 'integer', minimum: 1, maximum, description, ...(fallback === undefined ? {} : { default: fallback }) };
}

function common(waitFor: 'decided' | 'finished'): Schema {
  return {
    waitFor: { type: 'string', enum: ['decided', 'finished'], default: waitFor, description: 'Whether the answer comes when the decision is durable, or when every participant has applied it' },
    metadata: { description: 'Any JSON, kept and shown with the transaction' },
  };
}

/** Of 2pc, 3pc and paxos-commit; any name of a protocol is let through, so that only a name that is none is refused here. */
export function branchesSchema({ maxTimeoutMs, defaultTimeoutMs }: BodyLimits): Schema {
  return {
    type: 'object',
    required: ['protocol', 'branches'],
    additionalProperties: false,
    properties: {
      protocol: { type: 'string', enum: PROTOCOL_NAMES },
      branches: {
        type: 'array', minItems: 1, maxItems: MAX_BRANCHES,
        items: { type: 'object', required: ['participant', 'operation', 'payload'], additionalProperties: false, properties: WORK },
      },
      timeoutMs: duration(maxTimeoutMs, 'Undecided after this, the transaction aborts with PREPARE_TIMEOUT', defaultTimeoutMs),
      ...common('decided'),
    },
  };
}

/** The number of steps, and what the graph demands, are for `checkSaga`. */
export function sagaSchema({ saga, maxSagaTimeoutMs }: BodyLimits): Schema {
  return {
    type: 'object',
    required: ['protocol', 'steps'],
    additionalProperties: false,
    properties: {
      protocol: { type: 'string', enum: ['saga'] },
      steps: { type: 'array', items: stepSchema(saga, maxSagaTimeoutMs) },
      timeoutMs: duration(maxSagaTimeoutMs, 'Undecided after this, the saga is compensated with SAGA_TIMEOUT', saga.timeoutMs),
      compensationTimeoutMs: duration(maxSagaTimeoutMs, 'When compensations are not all through this long after the decision, the saga needs attention', saga.compensationTimeoutMs),
      attentionAfterAttempts: { type: 'integer', minimum: 1, maximum: MAX_ATTEMPTS, default: saga.attentionAfterAttempts, description: 'So does one of whose messages that are repeated for ever was sent this often without success' },
      ...common('finished'),
    },
  };
}

function stepSchema(saga: SagaDefaults, maxMs: number): Schema {
  return {
    type: 'object',
    required: ['id', 'participant', 'operation', 'payload'],
    additionalProperties: false,
    properties: {
      id: { type: 'string', pattern: NAME, description: 'Unique within the saga' },
      ...WORK,
      kind: { type: 'string', enum: ['compensatable', 'pivot', 'retriable'], default: 'compensatable', description: 'compensatable: undone by its compensation. pivot, at most one: once it has executed the saga goes forward only. retriable: after the decision, repeated until it succeeds' },
      after: { type: 'array', maxItems: MAX_SAGA_STEPS, items: { type: 'string', pattern: NAME }, description: 'Ids of the steps that must be done before; absent: the step before this one in the list; empty: none' },
      timeoutMs: duration(maxMs, 'From the first attempt to the answer. Used up: the saga is compensated with STEP_TIMEOUT; a retriable step needs attention', saga.stepTimeoutMs),
      retry: {
        type: 'object',
        additionalProperties: false,
        description: 'Exponential backoff from firstMs to maxMs, less jitter',
        properties: {
          maxAttempts: { type: 'integer', minimum: 1, maximum: MAX_ATTEMPTS, default: saga.retry.maxAttempts, description: 'Then the saga is compensated with RETRIES_EXHAUSTED. Retriable steps are never given up' },
          firstMs: duration(maxMs, 'Before the second attempt', saga.retry.firstMs),
          maxMs: duration(maxMs, 'The longest pause; not less than firstMs', saga.retry.maxMs),
        },
      },
    },
  };
}

/** For the documentation: what is said elsewhere in code as well. */
export function documentedSchema(limits: BodyLimits): Schema {
  const branches = branchesSchema(limits);
  const saga = sagaSchema(limits);
  const [ofBranches, ofSaga] = [branches, saga].map((schema) => schema['properties'] as Record<string, Schema>);
  return {
    oneOf: [
      { ...branches, title: '2pc, 3pc, paxos-commit', properties: { ...ofBranches, protocol: { type: 'string', enum: BRANCH_PROTOCOLS } } },
      { ...saga, title: 'saga', properties: { ...ofSaga, steps: { ...ofSaga!['steps'], minItems: 1, maxItems: MAX_SAGA_STEPS } } },
    ],
  };
}
