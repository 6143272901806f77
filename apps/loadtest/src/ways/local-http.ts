import type { Assignment } from '../contract.js';
import { HttpConnections } from '../http-connections.js';
import type { LocalOutcome } from '../monolith.js';
import type { PlannedCheckout } from '../workload.js';
import { ofFailure, ofRefusal } from './coordinator-answer.js';
import { ofLocal } from './local.js';
import type { Attempted, OpenWay } from './way.js';

const MOST_CONNECTIONS = 4_096;

/** The monolith behind HTTP: one POST /checkout for each, to local-server. */
export function localHttpWay({ target }: Pick<Assignment, 'target'>): OpenWay {
  const server = new HttpConnections(target.localHttpUrl!, MOST_CONNECTIONS);
  return {
    attempt: async ({ checkout }: PlannedCheckout): Promise<Attempted> => {
      try {
        const answer = await server.post('/checkout', { 'content-type': 'application/json' }, JSON.stringify(checkout));
        return answer.status < 300 ? ofLocal(JSON.parse(answer.text) as LocalOutcome) : ofRefusal(answer);
      } catch (error) {
        return ofFailure(error);
      }
    },
    close: () => server.close(),
  };
}
