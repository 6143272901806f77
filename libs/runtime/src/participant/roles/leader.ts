import {
  restingLeader, sameBallot, stepPaxosLeader,
  type PaxosLeaderConfig, type PaxosLeaderInput, type PaxosLeaderState, type PaxosLeaderStep, type Peers,
} from '#libs/protocol';
import { leaderNumber, type SiteConfig } from '../site-config.js';
import { leaderRow } from './rows.js';
import { noHandler, ROW_ALONE, type Role, type RoleInput, type Stepped } from './role.js';

/**
 * The leader of Paxos Commit on a participant's site: finds the decision out when a branch of this site asks for it. The row holds its
 * greatest ballot. One that another process of this participant has raised is not the remembered one's any more: that one has led nothing
 * since, and rests.
 */
export function leader(site: SiteConfig): Role<PaxosLeaderState | null> {
  return {
    ...ROW_ALONE,
    name: 'leader',
    belongs(memory, row) {
      const stored = leaderRow(row);
      return stored !== null && memory.role === 'leader' && sameBallot(memory.state.ballot, stored.ballot);
    },
    begin(row, memory) {
      if (memory?.role === 'leader') return memory.state;
      const stored = leaderRow(row);
      return stored === null ? null : restingLeader(stored.group, stored.ballot);
    },
    step(state, input, nowMs) {
      const config = configFor(site, state?.group.peers ?? peersOf(input));
      return stepped(stepPaxosLeader(state, input as PaxosLeaderInput, nowMs, config));
    },
    executed: noHandler,
    memory: (state) => (state === null || (state.phase === 'resting' && state.outcome === null) ? null : { role: 'leader', state }),
  };
}

function configFor({ name, leaderResendAfterMs, maxLeaderResendIntervalMs, mostLeaderRepeats, staggerMs }: SiteConfig, peers: Peers): PaxosLeaderConfig {
  const number = leaderNumber(peers, name);
  if (number === 0) throw new Error(`${name} has no branch in this transaction, and so no leader`);
  return {
    leader: number, address: { role: 'leader', name }, resendAfterMs: leaderResendAfterMs, maxResendIntervalMs: maxLeaderResendIntervalMs,
    mostRepeats: mostLeaderRepeats, staggerMs: staggerMs * number,
  };
}

function peersOf(input: RoleInput): Peers {
  return input.kind === 'MESSAGE' && input.message.kind === 'LEAD' ? input.message.peers : [];
}

function stepped({ state, ready: { records, messages, timers } }: PaxosLeaderStep): Stepped<PaxosLeaderState | null> {
  const lead = records.findLast((record) => record.kind === 'LEAD');
  return { state, messages, timers, row: lead ? { table: 'leaders', row: { group: lead.group, ballot: lead.ballot } } : null, run: null };
}
