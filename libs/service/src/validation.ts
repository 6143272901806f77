import { Injectable, ValidationPipe, type ArgumentMetadata } from '@nestjs/common';
import type { ValidationError } from 'class-validator';
import { type FieldError, ProblemException } from './problem.js';

export const VALIDATION_FAILED = 'VALIDATION_FAILED';

/** `branches` + `1` -> `branches[1]`, `a` + `b` -> `a.b`, `a` + `x-y` -> `a["x-y"]`. */
export function joinPath(base: string, key: string | number): string {
  const text = String(key);
  if (/^\d+$/.test(text)) return `${base}[${text}]`;
  if (!/^[A-Za-z_$][\w$]*$/.test(text)) return `${base}[${JSON.stringify(text)}]`;
  return base === '' ? text : `${base}.${text}`;
}

/** A JSON pointer (RFC 6901), as Ajv gives it, as a path below `base`. */
export function pointerPath(base: string, pointer: string): string {
  return pointer.split('/').slice(1).reduce((path, part) => joinPath(path, part.replaceAll('~1', '/').replaceAll('~0', '~')), base);
}

/** class-validator's tree as a flat list, depth first. */
export function fieldErrors(errors: readonly ValidationError[], base = ''): FieldError[] {
  return errors.flatMap((error) => {
    const path = joinPath(base, error.property);
    const own = Object.entries(error.constraints ?? {}).map(([rule, message]) => ({ path, message: rule === 'whitelistValidation' ? 'is not a known field' : withoutName(message, error.property) }));
    return [...own, ...fieldErrors(error.children ?? [], path)];
  });
}

/** class-validator begins its messages with the field's name, which the path tells already. */
function withoutName(message: string, property: string): string {
  return message.startsWith(`${property} `) ? message.slice(property.length + 1) : message;
}

export function validationProblem(errors: readonly FieldError[], what = 'request'): ProblemException {
  const first = errors[0];
  const detail = first === undefined ? `The ${what} is not valid.` : `The ${what} is not valid: ${first.path === '' ? '' : `${first.path} `}${first.message}${errors.length > 1 ? ` (and ${errors.length - 1} more)` : ''}.`;
  return new ProblemException(400, VALIDATION_FAILED, detail, errors);
}

/** For parameters typed with a class-validator class: unknown fields are refused, errors name their path (once), the class is built. */
@Injectable()
export class ProblemValidationPipe extends ValidationPipe {
  constructor() {
    super({ transform: true, whitelist: true, forbidNonWhitelisted: true, stopAtFirstError: true, exceptionFactory: (errors) => validationProblem(fieldErrors(errors)) });
  }

  override async transform(value: unknown, metadata: ArgumentMetadata): Promise<unknown> {
    // Nest would validate an array item by item, and let null pass.
    if (metadata.type === 'body' && this.toValidate(metadata) && metadata.metatype !== undefined && !isObject(value)) {
      throw validationProblem([{ path: '', message: 'must be a JSON object' }], 'body');
    }
    return super.transform(value, metadata);
  }
}

export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
