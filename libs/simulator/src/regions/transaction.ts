/** One transaction at one placement. */
import { makeTxid } from '#libs/protocol';
import type { RoleName, SiteName, System } from '../system.js';
import { paxosCommit } from '../systems/paxos-commit.js';
import { saga, type SagaStepPlan } from '../systems/saga.js';
import { threePhaseCommit } from '../systems/three-phase-commit.js';
import { twoPhaseCommit, type Transaction } from '../systems/two-phase-commit.js';
import type { Random } from '../world/random.js';
import { flushMs, oneWayMs } from './latency.js';
import type { Region } from './map.js';
import type { BranchTimes, TransactionTimes } from './outcome.js';
import { faultsTolerated, PARTICIPANTS, type Placement, type Sites } from './placement.js';
import { TimedRun } from './timed-run.js';

export interface Loss {
  readonly region: Region;
  /** Milliseconds since the client asked. */
  readonly lostAtMs: number;
  readonly backAtMs: number;
}

/** A branch that has not voted by then makes the transaction abort; a saga that is not past its pivot by then is compensated. */
export const PREPARE_TIMEOUT_MS = 2_000;

/** How long after the region's return a run goes on. */
const AFTER_RETURN_MS = 60_000;

const TXID = makeTxid(0, 0, new Uint8Array(8));

/** The system of a placement. Acceptors have sites of their own, so that they can be where no participant is. */
export function systemOf(placement: Placement): System {
  const transaction: Transaction = {
    txid: TXID, votes: Array.from({ length: PARTICIPANTS }, () => 'yes'), createdAtMs: 0, timeoutMs: PREPARE_TIMEOUT_MS, waitFor: 'decided',
  };
  switch (placement.protocol) {
    case '2pc':
      return twoPhaseCommit(transaction);
    case '3pc':
      return threePhaseCommit(transaction);
    case 'saga':
      return saga({ txid: TXID, steps: STEPS, createdAtMs: 0, timeoutMs: PREPARE_TIMEOUT_MS });
    case 'paxos-commit':
      return withOwnAcceptorSites(paxosCommit({ ...transaction, f: faultsTolerated(placement) }));
  }
}

/** One after the other; the last is the pivot. */
const STEPS: readonly SagaStepPlan[] = Array.from({ length: PARTICIPANTS }, (_, i) => ({ kind: i === PARTICIPANTS - 1 ? 'pivot' : 'compensatable', vote: 'yes' }));

function withOwnAcceptorSites(system: System): System {
  return { ...system, roles: system.roles.map((role) => (role.name.startsWith('acceptor ') ? { ...role, site: `a${role.name.slice('acceptor '.length)}` } : role)) };
}

/** @throws Error when the protocol broke a promise: no placement and no lost region may make it */
export function runTransaction(system: System, { zones }: Sites, loss: Loss | null, random: Random): TransactionTimes {
  const lostSites = new Set<SiteName>([...zones].filter(([, { region }]) => region === loss?.region).map(([site]) => site));
  const timing = {
    messageMs: (from: SiteName, to: SiteName) => oneWayMs(zones.get(from)!, zones.get(to)!, random),
    flushMs: () => flushMs(random),
  };
  const downtime = loss === null ? null : { sites: lostSites, fromMs: loss.lostAtMs, untilMs: loss.backAtMs };
  const watch = new Watch(lostSites, system.protocol === 'saga');
  const run = new TimedRun(system, timing, downtime, (role, label, atMs) => watch.durable(role, label, atMs));
  const clientLost = lostSites.has('client');
  run.run((loss?.backAtMs ?? 0) + AFTER_RETURN_MS, () => (run.answer !== null || clientLost) && watch.allKnow());
  const violation = system.violation(run.view);
  if (violation !== null) throw new Error(`${system.protocol}: ${violation}`);
  return { outcome: watch.outcome ?? run.answer?.outcome ?? null, answeredAtMs: clientLost ? null : run.answer?.atMs ?? null, branches: watch.branches() };
}

/**
 * Notes when each participant prepared and when it knew, from what its rows say. A step of a saga counts as open from its effect to its
 * compensation, or to the end of the saga, which only the coordinator learns.
 */
class Watch {
  outcome: TransactionTimes['outcome'] = null;
  private readonly prepared: (number | null)[] = Array.from({ length: PARTICIPANTS }, () => null);
  private readonly decided: (number | null)[] = Array.from({ length: PARTICIPANTS }, () => null);
  private ended = false;

  constructor(private readonly lostSites: ReadonlySet<SiteName>, private readonly saga: boolean) {}

  durable(role: RoleName, label: string, atMs: number): void {
    const branch = /^participant (\d+)$/.exec(role);
    if (branch !== null) this.row(Number(branch[1]), label, atMs);
    else if (this.saga && role === 'coordinator' && label === 'finished') this.sagaEnded(atMs);
  }

  private sagaEnded(atMs: number): void {
    this.ended = true;
    for (const [i, since] of this.prepared.entries()) {
      if (since !== null) this.decided[i] ??= atMs;
    }
  }

  private row(i: number, label: string, atMs: number): void {
    if (label === 'refused' || label === 'cancelled') return;
    if (label !== 'committed' && label !== 'aborted' && label !== 'compensated') {
      this.prepared[i] ??= atMs;
      return;
    }
    this.decided[i] ??= atMs;
    this.outcome = label === 'committed' ? 'committed' : 'aborted';
  }

  allKnow(): boolean {
    return this.ended || this.decided.every((atMs, i) => atMs !== null || this.isLost(i));
  }

  branches(): BranchTimes[] {
    return this.decided.map((decidedAtMs, i) => ({ preparedAtMs: this.prepared[i]!, decidedAtMs, lost: this.isLost(i) }));
  }

  private isLost(i: number): boolean {
    return this.lostSites.has(`p${i}`);
  }
}
