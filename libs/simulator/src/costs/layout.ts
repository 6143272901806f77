/** Which roles share a node. A message within a node is free and takes no time, as in Gray and Lamport's cost model (2006, section 3.1). */
import type { RoleName } from '../system.js';

/**
 * apart          everyone on a node of its own; the client is the initiating participant's own application
 * leader-accepts as `apart`, but acceptor 0 shares the coordinator's node (protocols without acceptors: no difference)
 * co-located     client, coordinator and participant 0 share a node, and acceptor j is on the node of participant j; acceptors that
 *                no participant can host have nodes of their own
 */
export type LayoutName = 'apart' | 'leader-accepts' | 'co-located';

export const LAYOUTS: readonly LayoutName[] = ['apart', 'leader-accepts', 'co-located'];

export interface Layout {
  readonly name: LayoutName;
  /** The client counts as a role, `client`. */
  readonly nodeOf: (role: RoleName) => string;
  /**
   * The paper's initiating participant: it has prepared when it asks for the commit, so its request carries what it would have answered
   * to PREPARE. On the coordinator's own node this makes no difference to the counts, and the machines run as they are.
   */
  readonly initiatorPrepared: boolean;
}

export function layoutOf(name: LayoutName, participants: number): Layout {
  const apart = name !== 'co-located';
  return { name, initiatorPrepared: apart, nodeOf: apart ? apartNode(name === 'leader-accepts') : coLocatedNode(participants) };
}

function apartNode(leaderAccepts: boolean): Layout['nodeOf'] {
  return (role) => {
    if (role === 'client') return 'participant 0';
    return leaderAccepts && role === 'acceptor 0' ? 'coordinator' : role;
  };
}

function coLocatedNode(participants: number): Layout['nodeOf'] {
  return (role) => {
    const acceptor = /^acceptor (\d+)$/.exec(role);
    if (role === 'client' || role === 'coordinator' || acceptor?.[1] === '0') return 'participant 0';
    return acceptor && Number(acceptor[1]) < participants ? `participant ${acceptor[1]}` : role;
  };
}
