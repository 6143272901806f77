import type { Json } from '#libs/protocol';

/** Fields that several operations share. Text limits keep keys and index entries small. */
const text = { type: 'string', minLength: 1, maxLength: 100 } as const;
/** Sums of these stay far below 2^53, where numbers stop being exact. */
const amountCents = { type: 'integer', minimum: 1, maximum: 1_000_000_000_000 } as const;
const quantity = { type: 'integer', minimum: 1, maximum: 1_000_000_000 } as const;

const FIELDS = { orderId: text, customerId: text, sku: text, quantity, amountCents } as const;

/** The schema of a payload that has exactly these fields. */
export function payloadSchema(...names: readonly (keyof typeof FIELDS)[]): Json {
  return {
    type: 'object',
    properties: Object.fromEntries(names.map((name) => [name, FIELDS[name]])),
    required: names,
    additionalProperties: false,
  };
}
