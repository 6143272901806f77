import { parseArgs } from 'node:util';
import { PROTOCOL_NAMES, type ProtocolName } from '../../libs/protocol/src/messages.ts';

export const ROLES = ['coordinator', 'participant', 'acceptor', 'leader'] as const;
export type Role = (typeof ROLES)[number];

export interface MatrixOptions {
  readonly protocols: readonly ProtocolName[];
  readonly roles: readonly Role[];
  /** Part of the crash point's name. */
  readonly points: string;
  /** Cells are listed, after the discovery, and not run. */
  readonly list: boolean;
  readonly json: string | null;
  readonly sample: number | null;
  readonly seed: number;
}

export class UsageError extends Error {}

export const HELP = `npm run crash-matrix -- [options]
Starts Postgres, Kafka and all services, finds out which crash points each protocol reaches, then kills a process with -9 at each of them,
starts it again (or lets others go on without it), and audits everything that the databases hold.

  --protocol P     ${PROTOCOL_NAMES.join(', ')}; several with commas (default: all)
  --role R         ${ROLES.join(', ')}; several with commas (default: all)
  --points TEXT    only crash points with TEXT in their name, e.g. write:2pc/DECIDE
  --sample N       only N cells, drawn with --seed S (default 1)
  --list           finds out and lists the cells, runs none
  --json FILE      writes all results to FILE
Exit code 1: a cell broke an invariant or did not end. A cell whose point was not reached is shown, and counts as neither passed nor failed.
`;

/** @throws UsageError */
export function parseMatrixOptions(args: readonly string[]): MatrixOptions | 'help' {
  const values = parse(args);
  if (values.help === true) return 'help';
  return {
    protocols: choices('--protocol', values.protocol, PROTOCOL_NAMES),
    roles: choices('--role', values.role, ROLES),
    points: values.points ?? '',
    list: values.list === true,
    json: values.json ?? null,
    sample: values.sample === undefined ? null : whole('--sample', values.sample),
    seed: values.seed === undefined ? 1 : whole('--seed', values.seed),
  };
}

function parse(args: readonly string[]) {
  const text = { type: 'string' } as const;
  const flag = { type: 'boolean' } as const;
  try {
    return parseArgs({ args: [...args], strict: true, options: { protocol: text, role: text, points: text, sample: text, seed: text, json: text, list: flag, help: { ...flag, short: 'h' } } }).values;
  } catch (error) {
    throw new UsageError(`${(error as Error).message}\n\n${HELP}`);
  }
}

function choices<T extends string>(name: string, text: string | undefined, all: readonly T[]): readonly T[] {
  if (text === undefined) return all;
  return text.split(',').map((word) => {
    const found = all.find((one) => one === word.trim());
    if (found === undefined) throw new UsageError(`${name} got "${word}"; it takes ${all.join(', ')} (npm run crash-matrix -- --help)`);
    return found;
  });
}

function whole(name: string, text: string): number {
  if (!/^\d{1,9}$/.test(text)) throw new UsageError(`${name} got "${text}"; it takes a whole number (npm run crash-matrix -- --help)`);
  return Number(text);
}
