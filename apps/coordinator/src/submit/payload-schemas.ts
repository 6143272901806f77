import { Ajv2020 as Ajv, type ValidateFunction } from 'ajv/dist/2020.js';
import type { Json } from '#libs/protocol';
import type { FieldError } from '#libs/service';
import { schemaErrors } from './schema-errors.js';

/** What is wrong with a payload; empty if nothing is. Paths begin with `base`. */
export type PayloadCheck = (payload: Json, base: string) => readonly FieldError[];

const NOTHING: readonly FieldError[] = [];
const ANYTHING: PayloadCheck = () => NOTHING;

/** Compiles announced payload schemas, each distinct one once, however many instances announce it however often. */
export class PayloadSchemas {
  private cache = new Map<string, PayloadCheck>();

  /** @param onInvalid told once of a schema that cannot be compiled; the participant then checks its payloads alone */
  constructor(private readonly onInvalid: (schema: Json, error: Error) => void) {}

  checkFor(schema: Json): PayloadCheck {
    const key = JSON.stringify(schema);
    let check = this.cache.get(key);
    if (check === undefined) {
      check = this.compile(schema);
      this.cache.set(key, check);
    }
    return check;
  }

  /** Forgets all schemas but these. */
  keep(schemas: readonly Json[]): void {
    const keys = new Set(schemas.map((schema) => JSON.stringify(schema)));
    for (const key of this.cache.keys()) if (!keys.has(key)) this.cache.delete(key);
  }

  private compile(schema: Json): PayloadCheck {
    let validate: ValidateFunction;
    try {
      // An instance of its own: two versions of a schema may carry the same $id.
      validate = new Ajv({ allErrors: true, strict: false, validateFormats: false, logger: false }).compile(schema as object);
    } catch (error) {
      this.onInvalid(schema, error as Error);
      return ANYTHING;
    }
    return (payload, base) => (validate(payload) ? NOTHING : schemaErrors(validate.errors, base));
  }
}
