import { timeOrderedKey } from '#libs/client';
import type { Assignment } from '../contract.js';
import { HttpConnections } from '../http-connections.js';
import { transactionRequests } from '../transaction-request.js';
import type { PlannedCheckout } from '../workload.js';
import { type AnsweredTransaction, ofFailure, ofRefusal, ofTransaction } from './coordinator-answer.js';
import type { Attempted, OpenWay } from './way.js';

const MOST_CONNECTIONS = 4_096;

/** One POST /v1/transactions for each, with a key of its own that tells its time, as a careful client sends it. Nothing is repeated: every answer counts as it is. */
export function httpWay({ target, workload }: Pick<Assignment, 'target' | 'workload'>): OpenWay {
  const servers = new Servers(target.coordinatorUrls, MOST_CONNECTIONS);
  const request = transactionRequests(workload);
  const common = { authorization: `Bearer ${target.token}`, 'content-type': 'application/json', prefer: 'wait=10' };
  return {
    attempt: async (planned: PlannedCheckout): Promise<Attempted> => {
      try {
        const answer = await servers.next().post('/v1/transactions', { ...common, 'idempotency-key': timeOrderedKey() }, JSON.stringify(request(planned)));
        return answer.status < 300 ? ofTransaction(JSON.parse(answer.text) as AnsweredTransaction) : ofRefusal(answer);
      } catch (error) {
        return ofFailure(error);
      }
    },
    close: () => servers.close(),
  };
}

/** Several coordinators in turn: any of them takes any request. */
export class Servers {
  private readonly all: readonly HttpConnections[];
  private turn = 0;

  constructor(urls: readonly string[], mostConnections: number) {
    this.all = urls.map((url) => new HttpConnections(url, mostConnections));
  }

  next(): HttpConnections {
    this.turn = (this.turn + 1) % this.all.length;
    return this.all[this.turn]!;
  }

  async close(): Promise<void> {
    await Promise.all(this.all.map((connections) => connections.close()));
  }
}
