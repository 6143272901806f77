import { Controller, Get, Inject } from '@nestjs/common';
import { Role } from '#libs/service';
import { ParticipantHost } from './participant-host.js';

/** More than a person reads; the number of all is told beside them. */
const MOST = 1_000;

/** What a site waits for. Each instance tells of the partitions that it owns; all instances together tell all. */
@Role('read')
@Controller('v1/branches')
export class BranchesController {
  constructor(@Inject(ParticipantHost) private readonly host: ParticipantHost) {}

  /** Branches that voted yes and have not heard the decision, oldest first. */
  @Get('in-doubt')
  inDoubt(): unknown {
    return this.listed(this.host.inDoubt(), ({ txid, branch, protocol, sinceMs, ageMs, blocked }) => ({ txid, branch, protocol, since: at(sinceMs), ageMs, blocked }));
  }

  /** Branches whose commit or abort handler fails, oldest first. */
  @Get('parked')
  parked(): unknown {
    return this.listed(this.host.parked(), ({ txid, branch, operation, action, sinceMs, attempts, retryAtMs, error }) => (
      { txid, branch, operation, action, since: at(sinceMs), attempts, retryAt: at(retryAtMs), error }
    ));
  }

  private listed<Branch>(branches: readonly Branch[], json: (branch: Branch) => object): unknown {
    const { name, instance } = this.host;
    return { participant: name, instance, count: branches.length, branches: branches.slice(0, MOST).map((branch) => ({ participant: name, ...json(branch) })) };
  }
}

function at(ms: number): string {
  return new Date(ms).toISOString();
}
