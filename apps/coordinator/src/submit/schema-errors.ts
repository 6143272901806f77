import type { ErrorObject } from 'ajv';
import { type FieldError, joinPath, pointerPath } from '#libs/service';

const MAX_ERRORS = 50;

/** Ajv's errors as paths below `base`, in words for people. */
export function schemaErrors(errors: readonly ErrorObject[] | null | undefined, base = ''): FieldError[] {
  return (errors ?? []).slice(0, MAX_ERRORS).map((error) => describe(error, base));
}

function describe(error: ErrorObject, base: string): FieldError {
  const path = pointerPath(base, error.instancePath);
  const params = error.params as Record<string, unknown>;
  switch (error.keyword) {
    case 'required': return { path: joinPath(path, String(params['missingProperty'])), message: 'is required' };
    case 'additionalProperties': return { path: joinPath(path, String(params['additionalProperty'])), message: 'is not a known field' };
    case 'unevaluatedProperties': return { path: joinPath(path, String(params['unevaluatedProperty'])), message: 'is not a known field' };
    case 'enum': return { path, message: `must be one of ${(params['allowedValues'] as unknown[]).map(String).join(', ')}` };
    default: return { path, message: error.message ?? 'is not valid' };
  }
}
