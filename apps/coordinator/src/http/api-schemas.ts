/** JSON Schemas of answers, for the API's documentation. */
const nullable = (schema: Record<string, unknown>): Record<string, unknown> => ({ ...schema, nullable: true });
const time = { type: 'string', format: 'date-time' };
const list = (name: string, items: Record<string, unknown>): Record<string, unknown> => ({ type: 'object', required: [name], properties: { [name]: { type: 'array', items } } });

const REASON = {
  type: 'object',
  required: ['code'],
  properties: { code: { type: 'string', example: 'INSUFFICIENT_FUNDS' }, participant: { type: 'string', example: 'payments' }, detail: { type: 'string' } },
};

const BRANCH = {
  type: 'object',
  required: ['index', 'participant', 'operation', 'state', 'vote', 'attempts', 'result'],
  properties: {
    index: { type: 'integer' },
    participant: { type: 'string' },
    operation: { type: 'string' },
    state: { type: 'string', enum: ['waiting', 'prepared', 'read-only', 'refused', 'committed', 'aborted'] },
    vote: { type: 'string', enum: ['yes', 'no', 'read-only'], nullable: true },
    attempts: { type: 'integer' },
    result: { description: 'What the participant returned with its vote' },
  },
};

export const TRANSACTION_SCHEMA = {
  type: 'object',
  required: ['id', 'protocol', 'status', 'createdAt', 'deadlineAt', 'decidedAt', 'finishedAt', 'reason', 'branches', 'metadata'],
  properties: {
    id: { type: 'string', format: 'uuid' },
    protocol: { type: 'string', enum: ['2pc'] },
    status: { type: 'string', enum: ['pending', 'committed', 'aborted'] },
    createdAt: time,
    deadlineAt: time,
    decidedAt: nullable(time),
    finishedAt: nullable(time),
    reason: nullable(REASON),
    branches: { type: 'array', items: BRANCH },
    metadata: {},
  },
};

export const TRANSACTION_PAGE_SCHEMA = {
  type: 'object',
  required: ['items', 'nextCursor'],
  properties: { items: { type: 'array', items: TRANSACTION_SCHEMA }, nextCursor: { type: 'string', nullable: true, description: 'For the next page; null on the last' } },
};

export const BATCH_ANSWER_SCHEMA = {
  type: 'object',
  required: ['transactions'],
  properties: { transactions: { type: 'array', items: { oneOf: [TRANSACTION_SCHEMA, { $ref: '#/components/schemas/ProblemDto' }] } } },
};

export const BATCH_LINE_SCHEMA = {
  type: 'object',
  required: ['index'],
  description: 'One line. Holds `transaction` or `problem`',
  properties: {
    index: { type: 'integer', description: 'Place in the request, from 0' },
    transaction: TRANSACTION_SCHEMA,
    problem: { allOf: [{ $ref: '#/components/schemas/ProblemDto' }], description: 'With `retryAfter` in seconds where the item can be sent again' },
  },
};

export const TIMELINE_SCHEMA = list('events', {
  type: 'object',
  required: ['at', 'type', 'name', 'from', 'to'],
  properties: {
    at: time,
    type: { type: 'string', enum: ['record', 'send', 'receive'] },
    name: { type: 'string', example: 'PREPARE' },
    from: { type: 'string' },
    to: { type: 'string' },
    branch: { type: 'integer' },
    detail: { type: 'string' },
  },
});

export const PARTICIPANT_SCHEMA = {
  type: 'object',
  properties: {
    name: { type: 'string' },
    paused: { type: 'boolean' },
    operations: { type: 'array', items: { type: 'object', properties: { name: { type: 'string' }, payloadSchema: { type: 'object' } } } },
    instances: { type: 'array', items: { type: 'object', properties: { instance: { type: 'string' }, version: { type: 'string' }, live: { type: 'boolean', description: 'Has announced itself within the last minute' }, firstSeenAt: time, lastSeenAt: time } } },
  },
};

export const PARTICIPANTS_SCHEMA = list('participants', PARTICIPANT_SCHEMA);

export const SHARDS_SCHEMA = list('shards', {
  type: 'object',
  properties: {
    shard: { type: 'integer' },
    owner: { type: 'string' },
    epoch: { type: 'integer' },
    acquiredAt: time,
    here: { type: 'boolean', description: 'Owned by the instance that answers' },
    inFlight: { type: 'integer', nullable: true, description: 'Known for shards owned here' },
    recovered: { type: 'boolean', nullable: true, description: 'Known for shards owned here: whether unfinished transactions have been taken over' },
  },
});

export const AUDIT_SCHEMA = {
  type: 'object',
  required: ['items', 'nextCursor'],
  properties: {
    items: {
      type: 'array',
      items: {
        type: 'object',
        properties: { id: { type: 'string' }, at: time, actor: { type: 'string' }, action: { type: 'string' }, target: { type: 'string' }, comment: { type: 'string', nullable: true }, result: { type: 'string', description: '`done`, `taken`, or the code of the refusal' } },
      },
    },
    nextCursor: { type: 'string', nullable: true },
  },
};
