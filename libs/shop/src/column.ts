import type { ValueTransformer } from 'typeorm';

/** The driver gives bigint as text; the amounts of the shop are far below 2^53. */
export const bigintAsNumber: ValueTransformer = {
  to: (value: number) => value,
  from: (value: string) => Number(value),
};
