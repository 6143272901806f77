import { Ajv2020 } from 'ajv/dist/2020.js';
import { PROTOCOL_NAMES } from '#libs/protocol';
import type { Assignment, Way } from './contract.js';

/** What came on stdin is no assignment; the message says what is wrong, in one line. */
export class AssignmentError extends Error {
  readonly code = 'INVALID_ASSIGNMENT';
}

const WAYS: readonly Way[] = ['sdk', 'http', 'batch', 'local', 'local-single', 'local-http'];

const integer = (minimum: number, maximum: number): object => ({ type: 'integer', minimum, maximum });
const exactly = (properties: Readonly<Record<string, object>>): object => ({ type: 'object', properties, required: Object.keys(properties), additionalProperties: false });
const text = { type: 'string', minLength: 1 };
const textOrNull = { type: ['string', 'null'], minLength: 1 };

const SCHEMA = exactly({
  way: { enum: WAYS },
  loop: {
    type: 'object', required: ['kind'], discriminator: { propertyName: 'kind' },
    oneOf: [
      exactly({ kind: { const: 'closed' }, clients: integer(1, 100_000) }),
      exactly({ kind: { const: 'open' }, ratePerSecond: { type: 'number', exclusiveMinimum: 0, maximum: 1_000_000 } }),
    ],
  },
  workload: exactly({
    protocol: { enum: PROTOCOL_NAMES },
    participants: integer(1, 10),
    refusalShare: { type: 'number', minimum: 0, maximum: 1 },
    skew: { anyOf: [{ enum: ['uniform', 'hot'] }, exactly({ zipf: { type: 'number', exclusiveMinimum: 0, maximum: 10 } })] },
    payloadBytes: integer(0, 1_000_000),
    seed: integer(0, 2 ** 32 - 1),
  }),
  warmupSeconds: { type: 'number', minimum: 0, maximum: 86_400 },
  mostWarmupSeconds: { type: 'number', minimum: 0, maximum: 86_400 },
  seconds: { type: 'number', exclusiveMinimum: 0, maximum: 86_400 },
  batchSize: integer(1, 1_000),
  target: exactly({
    coordinatorUrls: { type: 'array', items: text }, token: { type: 'string' }, localDatabaseUrl: textOrNull, localHttpUrl: textOrNull, localPool: integer(1, 1_000),
  }),
  worker: integer(0, 999),
  workers: integer(1, 1_000),
  // With worker and number below the 100 characters that the shop takes for an order id.
  idPrefix: { ...text, maxLength: 60 },
});

const validate = new Ajv2020({ discriminator: true, allowUnionTypes: true }).compile<Assignment>(SCHEMA);

/** @throws AssignmentError */
export function parseAssignment(json: string): Assignment {
  const value = parse(json);
  if (!validate(value)) {
    const [error] = validate.errors!;
    throw new AssignmentError(`bad assignment: ${pathOf(error!.instancePath)} ${error!.message}${'allowedValues' in error!.params ? `: ${JSON.stringify(error!.params.allowedValues)}` : ''}`);
  }
  const problem = contradiction(value);
  if (problem !== null) throw new AssignmentError(`bad assignment: ${problem}`);
  return value;
}

function parse(json: string): unknown {
  try {
    return JSON.parse(json);
  } catch (error) {
    throw new AssignmentError(`bad assignment: stdin takes one JSON document: ${(error as Error).message.replaceAll(/\s+/g, ' ')}`);
  }
}

function pathOf(pointer: string): string {
  return pointer === '' ? 'it' : pointer.slice(1).replaceAll('/', '.');
}

/** What no single field is to blame for. */
function contradiction({ way, target, workload, worker, workers, warmupSeconds, mostWarmupSeconds }: Assignment): string | null {
  if (mostWarmupSeconds < warmupSeconds) return `mostWarmupSeconds ${mostWarmupSeconds} is less than warmupSeconds ${warmupSeconds}`;
  if (worker >= workers) return `worker ${worker} is none of ${workers}, which count from 0`;
  switch (way) {
    case 'sdk':
    case 'http':
    case 'batch': return target.coordinatorUrls.length === 0 ? `way ${way} needs target.coordinatorUrls` : null;
    case 'local':
    case 'local-single': return target.localDatabaseUrl === null ? `way ${way} needs target.localDatabaseUrl` : wholeCheckout(workload.participants, way);
    case 'local-http': return target.localHttpUrl === null ? `way ${way} needs target.localHttpUrl` : wholeCheckout(workload.participants, way);
  }
}

/** Anything else would be compared with what is another amount of work. */
function wholeCheckout(participants: number, way: Way): string | null {
  return participants === 3 ? null : `way ${way} is the whole checkout: workload.participants takes 3, not ${participants}`;
}
