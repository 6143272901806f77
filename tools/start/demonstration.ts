import { randomUUID } from 'node:crypto';
import { renderTable } from './table.ts';

interface Answer {
  readonly id: string;
  readonly status: string;
  readonly createdAt: string;
  readonly decidedAt: string | null;
  readonly reason: { readonly code: string; readonly participant?: string; readonly detail?: string } | null;
  readonly branches: readonly { readonly participant: string; readonly operation: string; readonly vote: string | null; readonly state: string }[];
}

interface TimelineEvent {
  readonly at: string;
  readonly type: string;
  readonly name: string;
  readonly from: string;
  readonly to: string;
  readonly detail?: string;
}

export interface Coordinator {
  readonly url: string;
  /** Null: authentication is off. */
  readonly submitToken: string | null;
  readonly readToken: string | null;
}

/** More than any seeded customer has. */
const TOO_MUCH_CENTS = 5_000_000;

/** One checkout that commits and one that is refused, over the coordinator's HTTP API, as text for people. */
export async function demonstrate(coordinator: Coordinator): Promise<string> {
  const commits = await show(coordinator, 'A checkout of 10.00', 1_000);
  const refused = await show(coordinator, `A checkout of ${(TOO_MUCH_CENTS / 100).toFixed(2)}, more than the customer has`, TOO_MUCH_CENTS);
  return `${commits}\n\n${refused}`;
}

async function show(coordinator: Coordinator, title: string, amountCents: number): Promise<string> {
  const answer = await call<Answer>(coordinator, 'POST', '/v1/transactions', await checkout(amountCents));
  const { events } = await call<{ events: readonly TimelineEvent[] }>(coordinator, 'GET', `/v1/transactions/${answer.id}/timeline`);
  return [
    `${title}: ${outcomeOf(answer)}`,
    `transaction ${answer.id}`,
    '',
    indent(renderTable(['participant', 'operation', 'vote', 'state'], answer.branches.map((b) => [b.participant, b.operation, b.vote ?? '-', b.state]))),
    '',
    indent(renderTable(['ms', '', 'what', 'from', 'to', 'detail'], events.map((e) => [String(Date.parse(e.at) - Date.parse(answer.createdAt)), e.type, e.name, e.from, e.to, e.detail ?? '']))),
  ].join('\n');
}

function outcomeOf({ status, reason, createdAt, decidedAt }: Answer): string {
  const took = decidedAt === null ? '' : ` after ${Date.parse(decidedAt) - Date.parse(createdAt)} ms`;
  if (reason === null) return `${status.toUpperCase()}${took}`;
  return `${status.toUpperCase()}${took}: ${reason.code}${reason.participant === undefined ? '' : `, said by ${reason.participant}`}${reason.detail ? ` (${reason.detail})` : ''}`;
}

async function checkout(amountCents: number): Promise<unknown> {
  // From dist/: only after the build.
  const { checkoutRequest } = await import('#libs/shop/checkout');
  const n = 1 + Math.floor(Math.random() * 10_000);
  const request = checkoutRequest('2pc', { orderId: `demo-${randomUUID()}`, customerId: `c-${n}`, sku: `s-${n}`, quantity: 1, amountCents });
  return { ...request, waitFor: 'finished', metadata: { source: 'npm start' } };
}

async function call<T>({ url, submitToken, readToken }: Coordinator, method: string, path: string, body?: unknown): Promise<T> {
  const token = method === 'GET' ? readToken : submitToken;
  const response = await fetch(url + path, {
    method,
    headers: { 'content-type': 'application/json', prefer: 'wait=20', ...(token === null ? {} : { authorization: `Bearer ${token}` }) },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    signal: AbortSignal.timeout(30_000),
  });
  const text = await response.text();
  if (!response.ok) throw new Error(`${method} ${path} answered ${response.status}: ${text}`);
  return JSON.parse(text) as T;
}

function indent(text: string): string {
  return text.replaceAll(/^(?=.)/gm, '  ');
}
