/** What the page's script needs to step through a run: every event in words, and what it changes in the table of roles. */
import { millis, type Index } from '../narrate.js';
import type { TraceEvent } from '../trace.js';
import { explain } from './explain.js';
import { siteOf } from './lanes.js';
import type { Layout } from './layout.js';

export interface StoryEvent {
  readonly ms: string;
  readonly kind: TraceEvent['kind'];
  readonly where: string;
  readonly transactions: readonly string[];
  readonly text: string;
  readonly meaning: string;
  readonly y: number;
  /** [position in `roles`, column, text]; the column is what the role has in memory (0) or in its rows (1). */
  readonly changes: readonly (readonly [number, 0 | 1, string])[];
}

export interface Story {
  readonly events: readonly StoryEvent[];
  readonly roles: readonly { readonly process: string; readonly role: string; readonly transaction: string }[];
  readonly messages: readonly { readonly from: number; readonly to: number | null; readonly text: string; readonly transaction: string }[];
  readonly transactions: readonly string[];
}

export function storyOf(layout: Layout): Story {
  const { index, rows, arrows } = layout;
  const roles = rolesOf(layout);
  return {
    roles: roles.list,
    transactions: [...index.names.values()],
    messages: arrows.map(({ send, sentAt, endsAt }) => ({ from: sentAt, to: endsAt, text: `${send.text} to ${send.receiver}`, transaction: index.names.get(send.txid)! })),
    events: rows.map(({ event, told, y }) => ({
      ms: millis(event.atMs), kind: event.kind, where: told.where, transactions: told.transactions, text: told.text.replaceAll(' -> ', ' → '),
      meaning: explain(event, index), y: Math.round(y), changes: changesOf(event, index, roles),
    })),
  };
}

interface Roles {
  readonly list: Story['roles'];
  of(matches: (role: Story['roles'][number]) => boolean): number[];
}

function rolesOf({ rows, lanes }: Layout): Roles {
  const keys = new Map<string, Story['roles'][number]>();
  for (const { event, told } of rows) {
    if (event.kind !== 'step') continue;
    const found = { process: event.process, role: event.role, transaction: told.transactions[0]! };
    keys.set(`${found.process}|${found.role}|${found.transaction}`, found);
  }
  const order = new Map(lanes.map(({ process }, i) => [process, i]));
  const byNumber = (a: string, b: string): number => a.localeCompare(b, 'en', { numeric: true });
  const list = [...keys.values()].sort((a, b) => byNumber(a.transaction, b.transaction) || order.get(a.process)! - order.get(b.process)! || byNumber(a.role, b.role));
  return { list, of: (matches) => list.flatMap((role, i) => (matches(role) ? [i] : [])) };
}

function changesOf(event: TraceEvent, index: Index, roles: Roles): StoryEvent['changes'] {
  const memory = (process: string, text: string): StoryEvent['changes'] => roles.of((role) => role.process === process).map((at) => [at, 0, text] as const);
  switch (event.kind) {
    case 'step':
      return roles.of(({ process, role, transaction }) => process === event.process && role === event.role && transaction === index.names.get(event.txid)).map((at) => [at, 0, event.after] as const);
    case 'crash': return memory(event.process, event.forGood ? 'gone for good' : 'down');
    case 'restart': case 'take-over': return memory(event.process, '-');
    case 'flush': return event.records.filter(({ refused }) => !refused).flatMap((record) => {
      const transaction = index.names.get(record.txid)!;
      return roles.of((role) => siteOf(role.process) === event.site && role.role === record.role && role.transaction === transaction).map((at) => [at, 1, record.text] as const);
    });
    default: return [];
  }
}
