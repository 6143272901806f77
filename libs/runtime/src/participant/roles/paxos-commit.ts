import {
  majorityOf, stepPaxosParticipant,
  type PaxosParticipantConfig, type PaxosParticipantInput, type PaxosParticipantState, type PaxosParticipantStep, type Peers,
} from '#libs/protocol';
import type { SiteKey } from '../keys.js';
import { leaderNumber, type SiteConfig } from '../site-config.js';
import { applies, voteFrom } from './handler-answers.js';
import { branchRow } from './rows.js';
import { ROW_ALONE, type Role, type RoleInput, type Stepped } from './role.js';

/** A branch of Paxos Commit. */
export function paxosCommit(config: SiteConfig): Role<PaxosParticipantState> {
  const step = (state: PaxosParticipantState, input: PaxosParticipantInput, nowMs: number) => (
    stepped(stepPaxosParticipant(state, input, nowMs, configFor(config, peersOf(state, input))))
  );
  return {
    ...ROW_ALONE,
    name: 'paxos-commit',
    begin: (row) => (row === null ? { phase: 'none' } : { phase: 'stored', row: branchRow(row, 'paxos-commit') }),
    step: (state, input, nowMs) => step(state, input as PaxosParticipantInput, nowMs),
    executed(state, result, nowMs) {
      const applying = state.phase === 'running' && applies(state.action);
      if (applying && !result.ok) return null;
      return step(state, { kind: 'EXECUTED', vote: applying ? null : voteFrom(result) }, nowMs);
    },
    // The leader was asked one interval and more ago, and its ballot has found no majority of the acceptors.
    isBlocked: (attempt) => attempt >= config.leadAfterRepeats + 2,
  };
}

/**
 * The key that a branch's vote goes to if the site hosts one of the first F+1 acceptors: loaded together with the branch, the acceptor
 * takes the vote in the same database transaction.
 */
export function acceptorBeside(input: RoleInput, name: string): SiteKey | null {
  if (input.kind !== 'MESSAGE' || input.message.kind !== 'PREPARE' || !('acceptors' in input.message)) return null;
  const { txid, acceptors } = input.message;
  return acceptors.slice(0, majorityOf(acceptors.length)).includes(name) ? { role: 'acceptor', txid } : null;
}

function configFor(site: SiteConfig, peers: Peers): PaxosParticipantConfig {
  const { name, paxosRepeatAfterMs, maxPaxosRepeatIntervalMs, leadAfterRepeats, staggerMs, rowsKeptMs } = site;
  return {
    name, repeatAfterMs: paxosRepeatAfterMs, maxRepeatIntervalMs: maxPaxosRepeatIntervalMs, leadAfterRepeats,
    // The first site does not wait any longer, each further one a little more.
    staggerMs: staggerMs * Math.max(leaderNumber(peers, name) - 1, 0), ...(rowsKeptMs !== undefined && { rowsKeptMs }),
  };
}

function peersOf(state: PaxosParticipantState, input: PaxosParticipantInput): Peers {
  if (state.phase === 'stored') return state.row.peers;
  if (state.phase === 'running') return state.row?.peers ?? (state.trigger.kind === 'PREPARE' ? state.trigger.peers : []);
  return input.kind === 'MESSAGE' && input.message.kind === 'PREPARE' ? input.message.peers : [];
}

function stepped({ state, ready: { records, messages, timers, run } }: PaxosParticipantStep): Stepped<PaxosParticipantState> {
  const row = records.at(-1)?.row;
  return { state, messages, timers, row: row ? { table: 'branches', row: { ...row, protocol: 'paxos-commit' } } : null, run: run ? { ...run, inputs: {} } : null };
}
