import type { SiteConfig } from '../site-config.js';
import { acceptor } from './acceptor.js';
import { leader } from './leader.js';
import { paxosCommit } from './paxos-commit.js';
import { erase, type AnyRole, type RoleName } from './role.js';
import { saga } from './saga.js';
import { threePhaseCommit } from './three-phase-commit.js';
import { twoPhaseCommit } from './two-phase-commit.js';

export type Roles = { readonly [R in RoleName]: AnyRole };

export function rolesOf(config: SiteConfig): Roles {
  return {
    '2pc': erase(twoPhaseCommit(config)),
    '3pc': erase(threePhaseCommit(config)),
    'paxos-commit': erase(paxosCommit(config)),
    saga: erase(saga(config)),
    acceptor: erase(acceptor(config)),
    leader: erase(leader(config)),
  };
}
