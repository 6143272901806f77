/** A run as text: one line for each event, when, where and what. */
import { indexOf, millis, narrate, type Told } from './narrate.js';
import type { TraceEvent } from './trace.js';

/** Of several transactions every line says which. A blank line stands where nothing happened for a second or longer. */
export function transcript(events: readonly TraceEvent[]): string {
  const index = indexOf(events);
  const told = narrate(events, index);
  const several = index.names.size > 1;
  const whenWidth = Math.max(2, ...told.map(({ event }) => millis(event.atMs).length));
  const whereWidth = Math.max(5, ...told.map(({ where }) => where.length));
  const nameWidth = Math.max(...told.map(({ transactions }) => transactions.join('+').length), 2) + 2;
  const line = (when: string, where: string, names: string, text: string): string =>
    `${when.padStart(whenWidth)}  ${where.padEnd(whereWidth)}  ${several ? names.padEnd(nameWidth) : ''}${text}`.trimEnd();
  const lines = told.flatMap((each, i) => [
    ...(i > 0 && each.event.atMs - told[i - 1]!.event.atMs >= IDLE_MS ? [''] : []),
    line(millis(each.event.atMs), each.where, each.transactions.join('+'), marked(each)),
  ]);
  const legend = several ? `\n${[...index.names].map(([txid, name]) => `${name} = ${txid}`).join('\n')}\n` : '';
  return `${[line('ms', 'where', several ? 'tx' : '', 'what'), ...lines].join('\n')}\n${legend}`;
}

const IDLE_MS = 1000;

/** Indents what a process does to the messages it got, so that causes stand out. */
function marked({ event, text }: Told): string {
  return event.kind === 'deliver' || event.kind === 'client' || event.kind === 'violation' || event.kind === 'heal' ? text : `  ${text}`;
}
