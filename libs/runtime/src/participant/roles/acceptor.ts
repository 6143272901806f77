import { stepAcceptor, type AcceptorInput, type AcceptorState, type AcceptorStep } from '#libs/protocol';
import type { SiteConfig } from '../site-config.js';
import { acceptorRow } from './rows.js';
import { noHandler, ROW_ALONE, type Role, type Stepped } from './role.js';

/** The acceptor of Paxos Commit that every site hosts. Votes of ballot 0 wait in memory until the row is there. */
export function acceptor({ name, rowsKeptMs }: SiteConfig): Role<AcceptorState | null> {
  const config = { name, ...(rowsKeptMs !== undefined && { rowsKeptMs }) };
  return {
    ...ROW_ALONE,
    name: 'acceptor',
    belongs: (_memory, row) => row === null,
    begin(row, memory) {
      const stored = acceptorRow(row);
      if (stored !== null) return { phase: 'stored', row: stored };
      return memory?.role === 'acceptor' ? memory.state : null;
    },
    step: (state, input, nowMs) => stepped(stepAcceptor(state, input as AcceptorInput, nowMs, config)),
    executed: noHandler,
    memory: (state) => (state?.phase === 'gathering' ? { role: 'acceptor', state } : null),
  };
}

function stepped({ state, ready: { records, messages, timers } }: AcceptorStep): Stepped<AcceptorState | null> {
  const row = records.at(-1)?.row;
  return { state, messages, timers, row: row ? { table: 'acceptors', row } : null, run: null };
}
