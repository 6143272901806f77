import { Ajv2020, type ValidateFunction } from 'ajv/dist/2020.js';
import type { Json } from '#libs/protocol';

/** Null when the payload fits, else what is wrong, for people: `/amountCents must be integer`. */
export type PayloadCheck = (payload: Json) => string | null;

/**
 * Compiles a JSON Schema (draft 2020-12); `format` is a note to people there and is not checked.
 * @throws Error when it is no valid schema; unknown keywords count as such, because they are misspelled ones
 */
export function compilePayloadSchema(schema: Json): PayloadCheck {
  if (typeof schema !== 'boolean' && (typeof schema !== 'object' || schema === null || Array.isArray(schema))) throw new Error('schema must be object or boolean');
  const ajv = new Ajv2020({ strictSchema: true, strictTypes: false, strictTuples: false, strictRequired: false, allowUnionTypes: true, validateFormats: false, logger: false });
  const validate = ajv.compile(schema as object | boolean);
  if ('$async' in validate) throw new Error('schema must not be asynchronous');
  return (payload) => (validate(payload) ? null : firstProblem(validate));
}

function firstProblem(validate: ValidateFunction): string {
  const error = validate.errors?.[0];
  return error === undefined ? 'does not fit the schema' : `${error.instancePath === '' ? 'payload' : error.instancePath} ${error.message ?? 'is not valid'}`;
}
