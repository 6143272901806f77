import { Ajv2020 as Ajv } from 'ajv/dist/2020.js';
import { jsonProblem } from '#libs/kafka';
import type { BranchSpec, Json, ProtocolName } from '#libs/protocol';
import { type FieldError, isObject, ProblemException, validationProblem } from '#libs/service';
import { schemaErrors } from './schema-errors.js';

/** A body of `POST /v1/transactions` that was found to be well formed. */
export interface TransactionBody {
  readonly protocol: '2pc';
  readonly branches: readonly BranchSpec[];
  readonly timeoutMs?: number;
  readonly waitFor?: 'decided' | 'finished';
  readonly metadata?: Json;
}

export const PROTOCOLS: readonly ProtocolName[] = ['2pc', '3pc', 'paxos-commit', 'saga'];
const BUILT: readonly string[] = ['2pc'];

export const MAX_BRANCHES = 64;
/** A PREPARE must fit into one Kafka record (1,000,000 bytes) beside its other fields. */
export const MAX_PAYLOAD_BYTES = 512 * 1024;
export const MAX_METADATA_BYTES = 64 * 1024;
/**
 * Bodies below this cannot hold a payload or metadata above its limit once it is written again: JSON grows at most sixfold
 * (`1e20` is written as 21 digits).
 */
const SURELY_SMALL_BYTES = 10_000;

const NAME = '^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$';

/** JSON Schema of the body, for validation and for the API's documentation alike. */
export function transactionSchema(maxTimeoutMs: number): Record<string, unknown> {
  return {
    type: 'object',
    required: ['protocol', 'branches'],
    additionalProperties: false,
    properties: {
      protocol: { type: 'string', enum: PROTOCOLS },
      branches: {
        type: 'array', minItems: 1, maxItems: MAX_BRANCHES,
        items: {
          type: 'object',
          required: ['participant', 'operation', 'payload'],
          additionalProperties: false,
          properties: {
            participant: { type: 'string', pattern: NAME, description: 'Name of a participant of GET /v1/participants' },
            operation: { type: 'string', minLength: 1, maxLength: 100 },
            payload: { description: 'Any JSON that the operation\'s schema allows' },
          },
        },
      },
      timeoutMs: { type: 'integer', minimum: 1, maximum: maxTimeoutMs, description: 'Undecided after this, the transaction aborts with PREPARE_TIMEOUT' },
      waitFor: { type: 'string', enum: ['decided', 'finished'], default: 'decided' },
      metadata: { description: 'Any JSON, kept and shown with the transaction' },
    },
  };
}

/**
 * Checks the form of a body. A compiled schema and not decorated classes, because this runs for every transaction: it neither
 * copies the body nor makes a promise per field.
 */
export class TransactionBodyReader {
  private readonly validate;

  constructor(maxTimeoutMs: number) {
    this.validate = new Ajv({ allErrors: true, strict: false }).compile<TransactionBody>(transactionSchema(maxTimeoutMs));
  }

  /**
   * @param bytes at least the length of the JSON text the body was read from
   * @throws ProblemException 400, or 422 for a protocol that is not available
   */
  read(body: unknown, bytes: number): TransactionBody {
    if (!isObject(body)) throw validationProblem([{ path: '', message: 'must be a JSON object' }], 'body');
    refuseUnbuilt(body['protocol']);
    if (!this.validate(body)) throw validationProblem(withoutEchoes(schemaErrors(this.validate.errors)));
    const found = contentErrors(body);
    // Measured only when the nesting is known to be bearable: JSON.stringify recurses.
    if (found.length === 0 && bytes > SURELY_SMALL_BYTES) found.push(...sizeErrors(body));
    if (found.length > 0) throw validationProblem(found);
    return body;
  }
}

function refuseUnbuilt(protocol: unknown): void {
  if (typeof protocol !== 'string' || BUILT.includes(protocol) || !(PROTOCOLS as readonly string[]).includes(protocol)) return;
  throw new ProblemException(422, 'PROTOCOL_NOT_AVAILABLE', `The protocol ${protocol} is not available in this version; it takes ${BUILT.join(', ')}.`, [{ path: 'protocol', message: `must be one of ${BUILT.join(', ')}` }]);
}

/** One message per field is enough. */
function withoutEchoes(errors: readonly FieldError[]): readonly FieldError[] {
  const seen = new Set<string>();
  return errors.filter(({ path }) => !seen.has(path) && seen.add(path));
}

function contentErrors(body: TransactionBody): FieldError[] {
  const errors: FieldError[] = [];
  const check = (value: Json, path: string): void => {
    const message = jsonProblem(value);
    if (message !== null) errors.push({ path, message });
  };
  body.branches.forEach((branch, index) => {
    check(branch.operation, `branches[${index}].operation`);
    check(branch.payload, `branches[${index}].payload`);
  });
  if (body.metadata !== undefined) check(body.metadata, 'metadata');
  return errors;
}

function sizeErrors(body: TransactionBody): FieldError[] {
  const errors: FieldError[] = [];
  const check = (value: Json, path: string, limit: number): void => {
    const bytes = Buffer.byteLength(JSON.stringify(value));
    if (bytes > limit) errors.push({ path, message: `must not be larger than ${limit} bytes, but has ${bytes}` });
  };
  body.branches.forEach((branch, index) => check(branch.payload, `branches[${index}].payload`, MAX_PAYLOAD_BYTES));
  if (body.metadata !== undefined) check(body.metadata, 'metadata', MAX_METADATA_BYTES);
  return errors;
}
