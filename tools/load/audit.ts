// After each run: waits until everything is at rest, then compares the tables with what the clients were told.
import { setTimeout as sleep } from 'node:timers/promises';
import { checkInvariants, type ShopDatabases, UNDECIDED } from '#libs/postgres';
import type { Txid } from '#libs/protocol';
import type { Result } from '../../apps/loadtest/src/contract.ts';
import type { AuditCheck } from './report-types.ts';

type Pool = ReturnType<typeof import('#libs/postgres').createPool>;

const PAUSE_MS = 1_000;
const REST_PAUSE_MS = 50;
/** As many answers are asked for again where the tables are out of reach. */
const ASKED_AGAIN = 500;
const ASKED_AT_ONCE = 8;
/** What each seed puts in, the monolith's and the extra participants': 10,000 rows of 1,000,000 each. */
const SEED_TOTAL = 10_000n * 1_000_000n;
const OUTCOMES = ['committed', 'aborted', 'completed', 'compensated'] as const;
type Outcome = (typeof OUTCOMES)[number];

export type Told = Result['told'];

/** Repeats the audit until everything holds, or `limitMs` is over: what is broken then is broken. */
export async function untilItHolds(audit: () => Promise<readonly AuditCheck[]>, limitMs: number, signal: AbortSignal, pauseMs = PAUSE_MS): Promise<readonly AuditCheck[]> {
  for (const deadline = Date.now() + limitMs; ;) {
    const checks = await audit();
    if (checks.every(({ holds }) => holds) || Date.now() >= deadline || signal.aborted) return checks;
    await sleep(pauseMs);
  }
}

/** Resolves when nothing is open or prepared any more, or `limitMs` are over: to look at everything before would be in vain. */
export async function untilAtRest({ coordinator, ...shop }: ShopDatabases, extras: ReadonlyMap<string, Pool>, limitMs: number, signal: AbortSignal): Promise<void> {
  const questions = [
    async () => coordinator.query<{ open: boolean }>('SELECT EXISTS (SELECT FROM tx_open) AS open'),
    ...[...Object.values(shop), ...extras.values()].map((pool) => async () => pool.query<{ open: boolean }>(`SELECT EXISTS (SELECT FROM concordat_branch WHERE ${UNDECIDED}) AS open`)),
  ];
  for (const deadline = Date.now() + limitMs; Date.now() < deadline && !signal.aborted; await sleep(REST_PAUSE_MS)) {
    const answers = await Promise.all(questions.map((ask) => ask()));
    if (answers.every(({ rows }) => !rows[0]!.open)) return;
  }
}

/** The whole shop since its start (or what windows show of it), and what the clients of the last run were told. @param extras databases of participants beyond the shop's, by name */
export async function auditShop(databases: ShopDatabases, extras: ReadonlyMap<string, Pool>, told: Told): Promise<readonly AuditCheck[]> {
  const { checks } = await checkInvariants(databases, { answers: answersOf(told) });
  return [...checks.map(({ name, ok, detail }) => ({ name, holds: ok, detail })), ...await auditExtras(databases.coordinator, extras)];
}

/** As far as clients can see: what they were told stands, and nothing of it is undecided. */
export async function auditAnswers(url: string, token: string, told: Told): Promise<readonly AuditCheck[]> {
  const answers = [...answersOf(told)];
  const every = Math.max(1, Math.ceil(answers.length / ASKED_AGAIN));
  const asked = answers.filter((_, i) => i % every === 0);
  const wrong: string[] = [];
  const waiting = [...asked];
  await Promise.all(Array.from({ length: ASKED_AT_ONCE }, async () => {
    for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
      const [txid, outcome] = next;
      const status = await statusOf(url, token, txid);
      if (status !== outcome) wrong.push(`${txid} told ${outcome}, is ${status}`);
    }
  }));
  return [check('the coordinator still says what clients were told', wrong, `${asked.length} of ${answers.length} answers asked for again; the tables are out of reach, so nothing is known of the books`)];
}

/**
 * The monolith's books, all of them (or what a window shows of them): money and stock add up, every order has been paid and taken, of the same amount, and nothing is
 * missing of what clients were told.
 * @param run its orders' ids begin so, and at least so many committed
 */
export async function auditMonolith(monolith: Pool, run: { readonly idPrefix: string; readonly committed: number }): Promise<readonly AuditCheck[]> {
  const { rows: [sums] } = await monolith.query<{ money: string; stock: string; orders: number }>(`
    SELECT ((SELECT sum(balance_cents) FROM account) + (SELECT coalesce(sum(amount_cents), 0) FROM ledger_entry))::text AS money,
           ((SELECT sum(available) FROM stock) + (SELECT coalesce(sum(quantity), 0) FROM stock_movement))::text AS stock,
           (SELECT count(*) FROM orders WHERE starts_with(id, $1))::float8 AS orders`, [run.idPrefix]);
  const { rows: split } = await monolith.query<{ id: string }>(`
    SELECT coalesce(o.id, l.order_id, m.order_id) AS id
      FROM orders o FULL JOIN ledger_entry l ON l.order_id = o.id FULL JOIN stock_movement m ON m.order_id = coalesce(o.id, l.order_id)
     WHERE o.id IS NULL OR l.order_id IS NULL OR m.order_id IS NULL OR l.amount_cents <> o.amount_cents OR m.quantity <> o.quantity LIMIT 6`);
  const { money, stock, orders } = sums!;
  const conserved = (sum: string): readonly string[] => (BigInt(sum) === SEED_TOTAL ? [] : [`free and moved come to ${sum}, the seed was ${SEED_TOTAL}`]);
  return [
    check('money is conserved', conserved(money), `${money} in all`),
    check('stock is conserved', conserved(stock), `${stock} in all`),
    check('every order has been paid and taken', split.map(({ id }) => id), 'order for order'),
    check('nothing that committed is missing', orders >= run.committed ? [] : [`${run.committed} were told committed, ${orders} are there`], `${orders} orders, ${run.committed} of them in the measured time`),
  ];
}

/** What was told for certain, in the API's words: a saga's are completed and compensated. */
export function answersOf(told: Told): ReadonlyMap<Txid, Outcome> {
  return new Map(told.flatMap(([id, outcome]) => { const known = OUTCOMES.find((name) => name === outcome); return known === undefined ? [] : [[id as Txid, known] as const]; }));
}

export interface ExtraBranch {
  readonly txid: string;
  readonly branch: number;
  readonly state: string;
}

export interface AskedOfExtra {
  readonly txid: string;
  /** Places of this participant's branches. */
  readonly branches: readonly number[];
  readonly saga: boolean;
  /** Null: not ended. */
  readonly outcome: string | null;
}

/** AC1 for a participant that the shop's audit does not know: all that committed is applied, nothing else is, and nothing is in doubt. */
export function extraOffences(asked: readonly AskedOfExtra[], rows: readonly ExtraBranch[]): readonly string[] {
  const states = new Map(rows.map(({ txid, branch, state }) => [`${txid} ${branch}`, state]));
  const offences: string[] = [];
  for (const { txid, branches, saga, outcome } of asked) {
    const didCommit = outcome === 'committed' || outcome === 'completed';
    for (const branch of branches) {
      const state = states.get(`${txid} ${branch}`) ?? null;
      states.delete(`${txid} ${branch}`);
      const isApplied = state === 'read-only' || state === (saga ? 'executed' : 'committed');
      const isUndone = state === null || (saga ? state !== 'executed' : state === 'aborted' || state === 'read-only');
      if (outcome === null || !(didCommit ? isApplied : isUndone)) offences.push(`${txid} ${outcome ?? 'has not ended'}, branch ${branch} is ${state ?? 'not there'}`);
    }
  }
  for (const key of states.keys()) offences.push(`${key} was not asked for`);
  return offences;
}

/** Participants beyond the three of the shop: of each, whether it follows the decisions, and what it holds. */
export async function auditExtras(coordinator: ShopDatabases['coordinator'], extras: ReadonlyMap<string, Pool>): Promise<readonly AuditCheck[]> {
  const audited = await Promise.all([...extras].map(async ([name, pool]) => {
    const { rows: asked } = await coordinator.query<AskedOfExtra>(`
      SELECT b.txid, b.protocol = 'saga' AS saga, e.outcome,
             (SELECT coalesce(jsonb_agg(place - 1), '[]') FROM json_array_elements(b.branches) WITH ORDINALITY AS a (branch, place) WHERE branch ->> 'participant' = $1) AS branches
        FROM tx_begin b LEFT JOIN tx_end e ON e.txid = b.txid WHERE b.participants @> ARRAY[$1]::text[]`, [name]);
    const { rows } = await pool.query<ExtraBranch>('SELECT txid, branch, state FROM concordat_branch');
    const { rows: [supply] } = await pool.query<{ free: string; held: string }>(`
      SELECT ((SELECT sum(available) FROM supply) + (SELECT coalesce(sum(amount), 0) FROM supply_movement))::text AS free, (SELECT sum(held) FROM supply)::text AS held`);
    const { free, held } = supply!;
    return [
      check(`${name} follows the decisions`, extraOffences(asked, rows), `${rows.length} branches`),
      check(`${name}'s supply is conserved`, BigInt(free) === SEED_TOTAL && BigInt(held) === 0n ? [] : [`free and moved come to ${free}, held ${held}, the seed was ${SEED_TOTAL}`], `${free} in all`),
    ];
  }));
  return audited.flat();
}

async function statusOf(url: string, token: string, txid: string): Promise<string> {
  const response = await fetch(`${url}/v1/transactions/${txid}`, { headers: { authorization: `Bearer ${token}` }, signal: AbortSignal.timeout(10_000) });
  const text = await response.text();
  return response.ok ? (JSON.parse(text) as { readonly status: string }).status : `unknown (${response.status})`;
}

function check(name: string, wrong: readonly string[], detail: string): AuditCheck {
  const shown = `${wrong.slice(0, 5).join('; ')}${wrong.length > 5 ? '; ...' : ''}`;
  return { name, holds: wrong.length === 0, detail: wrong.length === 0 ? detail : shown };
}
