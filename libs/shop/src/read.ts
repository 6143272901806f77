import { ProblemException } from '#libs/service';

/** Longer ones cannot exist, and Postgres takes no U+0000. */
const KEY = /^[^\0]{1,100}$/u;

/**
 * What a read endpoint answers.
 * @throws ProblemException 404 with the given code when there is nothing under this key
 */
export async function readOr404<Row>(key: string, code: string, find: (key: string) => Promise<Row | null>): Promise<Row> {
  const row = KEY.test(key) ? await find(key) : null;
  if (row === null) throw new ProblemException(404, code, `There is no ${JSON.stringify(key.slice(0, 100))}.`);
  return row;
}
