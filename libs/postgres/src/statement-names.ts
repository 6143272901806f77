import { OUTDATED_STATEMENT } from './errors.js';
import type { Statement } from './sql/statement.js';

/** So many texts at most get a name: each is kept, with its plan, by every connection that has run it. */
const MAX_NAMES = 200;

const names = new Map<string, string | null>();

type Query = (statement: unknown, values?: unknown[]) => Promise<unknown>;

/** What TypeORM uses of a `pg` client. */
interface Client {
  query(statement: string | Statement): Promise<unknown>;
}

const clients = new WeakMap<Client, unknown>();

/**
 * The client, for handlers: a statement with parameters is parsed once per connection and then run by name, because a service runs the same
 * few again and again. Those beyond the first `MAX_NAMES` texts, and those without parameters, are run as they are.
 */
export function prepared(client: Client): unknown {
  const known = clients.get(client);
  if (known !== undefined) return known;
  const query = client.query.bind(client) as Query;
  const run = (statement: unknown, values?: unknown[]): Promise<unknown> => {
    const name = typeof statement === 'string' && Array.isArray(values) && values.length > 0 ? nameOf(statement) : null;
    if (name === null) return query(statement, values);
    const answer = query({ name, text: statement, values });
    answer.catch((fault: { readonly routine?: string }) => { if (fault.routine === OUTDATED_STATEMENT) names.set(statement as string, null); });
    return answer;
  };
  const named = new Proxy(client, { get: (target, property) => (property === 'query' ? run : Reflect.get(target, property, target)) });
  clients.set(client, named);
  return named;
}

function nameOf(text: string): string | null {
  const known = names.get(text);
  if (known !== undefined) return known;
  if (names.size >= MAX_NAMES) return null;
  const name = `handler-${names.size}`;
  names.set(text, name);
  return name;
}
