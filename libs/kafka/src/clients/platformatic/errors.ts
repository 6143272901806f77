import { ResponseError } from '@platformatic/kafka';

/** Where the names of the two libraries differ, that of kafkajs. */
const NAMES: Readonly<Record<string, string>> = { NOT_LEADER_OR_FOLLOWER: 'NOT_LEADER_FOR_PARTITION' };
/** Of single records, beside the one of their partition that says what is wrong. */
const OF_NO_USE = 'UNKNOWN_SERVER_ERROR';

/** A broker has answered and said no. */
export class BrokerError extends Error {
  constructor(readonly type: string, cause: Error) {
    super(`${cause.message}: ${type}`, { cause });
    this.name = 'BrokerError';
  }
}

/** What the broker said, or the error itself if it comes from elsewhere. */
export function brokerErrorOf(error: unknown): unknown {
  const types = refusalsIn(error);
  const type = types.find((each) => each !== OF_NO_USE) ?? types[0];
  return type === undefined ? error : new BrokerError(NAMES[type] ?? type, error as Error);
}

export function isRefusal(error: unknown, ...types: readonly string[]): boolean {
  return refusalsIn(error).some((type) => types.includes(type));
}

function refusalsIn(error: unknown): readonly string[] {
  if (error instanceof BrokerError) return [error.type];
  if (!(error instanceof ResponseError)) return [];
  return (error.errors as readonly { readonly apiId?: unknown }[]).flatMap(({ apiId }) => (typeof apiId === 'string' ? [apiId] : []));
}
