import { PROTOCOL_NAMES } from '#libs/protocol';
import { STATUSES } from './statuses.js';

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
  required: ['index', 'participant', 'operation', 'state', 'vote', 'attempts', 'result', 'reason'],
  properties: {
    index: { type: 'integer' },
    participant: { type: 'string' },
    operation: { type: 'string' },
    state: {
      type: 'string', enum: ['waiting', 'prepared', 'read-only', 'refused', 'committed', 'aborted', 'sent', 'done', 'compensating', 'compensated', 'skipped'],
      description: 'Of a branch: waiting, prepared, read-only, refused, committed, aborted. Of a saga\'s step: waiting, sent, done, refused, compensating, compensated, skipped',
    },
    vote: { type: 'string', enum: ['yes', 'no', 'read-only'], nullable: true, description: 'Null for a saga\'s step' },
    attempts: { type: 'integer' },
    result: { description: 'What the participant returned with its vote, or the step\'s execute handler' },
    reason: nullable({ ...REASON, description: 'Of a refusal, or of a step\'s last failure' }),
    id: { type: 'string', description: 'Of a saga\'s step, as are kind and after' },
    kind: { type: 'string', enum: ['compensatable', 'pivot', 'retriable'] },
    after: { type: 'array', items: { type: 'string' } },
  },
};

export const TRANSACTION_SCHEMA = {
  type: 'object',
  required: ['id', 'protocol', 'status', 'decision', 'createdAt', 'deadlineAt', 'decidedAt', 'finishedAt', 'reason', 'branches', 'attention', 'resolved', 'metadata'],
  properties: {
    id: { type: 'string', format: 'uuid' },
    protocol: { type: 'string', enum: [...PROTOCOL_NAMES] },
    status: {
      type: 'string', enum: [...STATUSES],
      description: '2pc, 3pc, paxos-commit: pending, committed, aborted. saga: running (also once it is decided that it completes), completed, compensating, compensated; needs-attention instead of running or compensating while it needs a person',
    },
    decision: { type: 'string', enum: ['COMMIT', 'ABORT'], nullable: true, description: 'Null while undecided' },
    createdAt: time,
    deadlineAt: time,
    decidedAt: nullable(time),
    finishedAt: nullable(time),
    reason: nullable(REASON),
    branches: { type: 'array', items: BRANCH, description: 'The steps, of a saga' },
    attention: nullable({ type: 'object', required: ['step', 'reason', 'at'], properties: { step: { type: 'string' }, reason: REASON, at: time }, description: 'Why a saga needs a person' }),
    resolved: nullable({ ...REASON, description: 'Set when an operator ended it although something was outstanding' }),
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
    acceptor: { type: 'boolean', description: 'Hosts an acceptor of paxos-commit' },
    operations: {
      type: 'array',
      items: {
        type: 'object',
        properties: {
          name: { type: 'string' },
          uses: { type: 'array', items: { type: 'string', enum: ['branch', 'step'] }, description: 'branch: of 2pc, 3pc and paxos-commit; step: of a saga' },
          stepKinds: { type: 'array', items: { type: 'string', enum: ['compensatable', 'pivot', 'retriable'] } },
          payloadSchema: { type: 'object' },
        },
      },
    },
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

const count = { type: 'integer' };

export const STATS_SCHEMA = {
  type: 'object',
  properties: {
    instance: { type: 'string' }, uptimeSeconds: { type: 'number' }, maxInFlight: count, maxInFlightPerParticipant: count, shardsOwned: count,
    inFlight: count, undecided: count, begun: count, committed: count, aborted: count, finished: count, recovered: count, refused: count,
    participants: {
      type: 'object', description: 'Undecided transactions here by the participants they name, and how many of them are taken at the moment',
      additionalProperties: { type: 'object', properties: { undecided: count, limit: count } }, example: { payments: { undecided: 12, limit: 2500 } },
    },
    byProtocol: {
      type: 'object', description: 'Begun and decided here, by protocol and outcome',
      additionalProperties: { type: 'object', additionalProperties: count },
      example: { '2pc': { begun: 2, committed: 1, aborted: 1 }, saga: { begun: 1, completed: 1, compensated: 0, needsAttention: 0 } },
    },
    open: {
      type: 'object', nullable: true, description: 'Without an end, in the shards owned here, by protocol, at most 5 s old; null while it cannot be read. overdue: undecided beyond their deadline',
      additionalProperties: { type: 'object', properties: { unfinished: count, undecided: count, overdue: count, needAttention: count, oldestUndecidedSeconds: { type: 'number' } } },
    },
    housekeeping: {
      type: 'object', nullable: true, description: 'The last time that this instance removed what is old; null before the first',
      properties: {
        at: time, partitionsCreated: count, partitionsDropped: count, partitionsKept: count, partitionsPostponed: count,
        rowsDeleted: { type: 'object', additionalProperties: count },
        unfinished: { type: 'array', items: { type: 'string' }, description: 'The oldest transactions that should be gone and have not ended, at most 10' },
      },
    },
  },
};

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
