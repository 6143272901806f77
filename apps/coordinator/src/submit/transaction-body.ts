import { Ajv2020 as Ajv, type ValidateFunction } from 'ajv/dist/2020.js';
import { jsonProblem } from '#libs/kafka';
import type { BranchSpec, Json, SagaRetry, SagaStepKind } from '#libs/protocol';
import { type FieldError, isObject, validationProblem } from '#libs/service';
import type { BodyLimits } from '../config.js';
import { branchesSchema, type BRANCH_PROTOCOLS, sagaSchema } from './body-schemas.js';
import { schemaErrors } from './schema-errors.js';

interface Common {
  readonly timeoutMs?: number;
  readonly waitFor?: 'decided' | 'finished';
  readonly metadata?: Json;
}

export interface BranchesBody extends Common {
  readonly protocol: (typeof BRANCH_PROTOCOLS)[number];
  readonly branches: readonly BranchSpec[];
}

export interface StepBody {
  readonly id: string;
  readonly participant: string;
  readonly operation: string;
  readonly payload: Json;
  readonly kind?: SagaStepKind;
  readonly after?: readonly string[];
  readonly timeoutMs?: number;
  readonly retry?: Partial<SagaRetry>;
}

export interface SagaBody extends Common {
  readonly protocol: 'saga';
  readonly steps: readonly StepBody[];
  readonly compensationTimeoutMs?: number;
  readonly attentionAfterAttempts?: number;
}

/** A body of `POST /v1/transactions` that was found to be well formed. */
export type TransactionBody = BranchesBody | SagaBody;

/** A PREPARE must fit into one Kafka record (1,000,000 bytes) beside its other fields. */
export const MAX_PAYLOAD_BYTES = 512 * 1024;
export const MAX_METADATA_BYTES = 64 * 1024;
/**
 * Bodies below this cannot hold a payload or metadata above its limit once it is written again: JSON grows at most sixfold
 * (`1e20` is written as 21 digits).
 */
const SURELY_SMALL_BYTES = 10_000;

/**
 * Checks the form of a body. A compiled schema and not decorated classes, because this runs for every transaction: it neither
 * copies the body nor makes a promise per field.
 */
export class TransactionBodyReader {
  private readonly branches: ValidateFunction<BranchesBody>;
  private readonly saga: ValidateFunction<SagaBody>;

  constructor(limits: BodyLimits) {
    const ajv = new Ajv({ allErrors: true, strict: false });
    this.branches = ajv.compile<BranchesBody>(branchesSchema(limits));
    this.saga = ajv.compile<SagaBody>(sagaSchema(limits));
  }

  /**
   * @param bytes at least the length of the JSON text the body was read from
   * @throws ProblemException 400
   */
  read(body: unknown, bytes: number): TransactionBody {
    if (!isObject(body)) throw validationProblem([{ path: '', message: 'must be a JSON object' }], 'body');
    const validate: ValidateFunction<TransactionBody> = body['protocol'] === 'saga' ? this.saga : this.branches;
    if (!validate(body)) throw validationProblem(withoutEchoes(schemaErrors(validate.errors)).map(withAdvice));
    const found = contentErrors(body);
    // Measured only when the nesting is known to be bearable: JSON.stringify recurses.
    if (found.length === 0 && bytes > SURELY_SMALL_BYTES && mostBytes(body as unknown as Json) > MAX_METADATA_BYTES) found.push(...sizeErrors(body));
    if (found.length > 0) throw validationProblem(found);
    return body;
  }
}

/** One message per field is enough. */
function withoutEchoes(errors: readonly FieldError[]): readonly FieldError[] {
  const seen = new Set<string>();
  return errors.filter(({ path }) => !seen.has(path) && seen.add(path));
}

/** What belongs to the other kind of transaction is known, though not here. */
const ELSEWHERE: Readonly<Record<string, string>> = {
  branches: 'belongs to 2pc, 3pc and paxos-commit; a saga has steps',
  steps: 'belongs to sagas; this protocol has branches',
  compensationTimeoutMs: 'belongs to sagas',
  attentionAfterAttempts: 'belongs to sagas',
};

function withAdvice(error: FieldError): FieldError {
  const advice = error.message === 'is not a known field' ? ELSEWHERE[error.path] : undefined;
  return advice === undefined ? error : { ...error, message: advice };
}

/** The parts of a transaction, whatever its protocol, and how errors name their list. */
function partsOf(body: TransactionBody): { readonly list: string; readonly parts: readonly { readonly operation: string; readonly payload: Json }[] } {
  return body.protocol === 'saga' ? { list: 'steps', parts: body.steps } : { list: 'branches', parts: body.branches };
}

function contentErrors(body: TransactionBody): FieldError[] {
  const errors: FieldError[] = [];
  const { list, parts } = partsOf(body);
  parts.forEach(({ operation, payload }, index) => {
    const ofOperation = jsonProblem(operation);
    if (ofOperation !== null) errors.push({ path: `${list}[${index}].operation`, message: ofOperation });
    const ofPayload = jsonProblem(payload);
    if (ofPayload !== null) errors.push({ path: `${list}[${index}].payload`, message: ofPayload });
  });
  const ofMetadata = body.metadata === undefined ? null : jsonProblem(body.metadata);
  if (ofMetadata !== null) errors.push({ path: 'metadata', message: ofMetadata });
  if (body.protocol === 'saga') errors.push(...retryErrors(body));
  return errors;
}

function retryErrors({ steps }: SagaBody): readonly FieldError[] {
  return steps.flatMap(({ retry }, index): FieldError[] => {
    if (retry?.firstMs === undefined || retry.maxMs === undefined || retry.firstMs <= retry.maxMs) return [];
    return [{ path: `steps[${index}].retry.maxMs`, message: `must not be less than firstMs, which is ${retry.firstMs}` }];
  });
}

/** As many bytes as the value takes at most when it is written as JSON: a UTF-16 unit at most six (`\u001f`), a number 24. */
function mostBytes(value: Json): number {
  if (typeof value === 'string') return 6 * value.length + 2;
  if (typeof value !== 'object' || value === null) return 24;
  let bytes = 2;
  if (Array.isArray(value)) for (const member of value as readonly Json[]) bytes += mostBytes(member) + 1;
  else for (const [key, member] of Object.entries(value)) bytes += 6 * key.length + 4 + mostBytes(member as Json);
  return bytes;
}

function sizeErrors(body: TransactionBody): FieldError[] {
  const errors: FieldError[] = [];
  const check = (value: Json, path: string, limit: number): void => {
    const bytes = Buffer.byteLength(JSON.stringify(value));
    if (bytes > limit) errors.push({ path, message: `must not be larger than ${limit} bytes, but has ${bytes}` });
  };
  const { list, parts } = partsOf(body);
  parts.forEach(({ payload }, index) => check(payload, `${list}[${index}].payload`, MAX_PAYLOAD_BYTES));
  if (body.metadata !== undefined) check(body.metadata, 'metadata', MAX_METADATA_BYTES);
  return errors;
}
