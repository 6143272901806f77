import { timeOrderedKey } from '#libs/client';
import type { Assignment } from '../contract.js';
import type { HttpAnswer } from '../http-connections.js';
import { transactionRequests } from '../transaction-request.js';
import { type AnsweredTransaction, ofFailure, ofProblem, ofRefusal, ofTransaction } from './coordinator-answer.js';
import { Servers } from './http.js';
import { jsonLines } from './ndjson.js';
import { type Attempted, type OpenWay, unknown } from './way.js';

const MOST_CONNECTIONS = 1_024;
/** How long a batch that is not full waits for company. */
const LINGER_MS = 5;

/** One line of a streamed answer. */
interface Line {
  readonly index: number;
  readonly transaction?: AnsweredTransaction;
  readonly problem?: { readonly status: number; readonly code?: string };
}

/** Posts a batch's body. @param onData given the lines of a 200 as they come @throws NoAnswerError */
export type PostBatch = (body: string, onData: (chunk: Buffer) => void) => Promise<HttpAnswer>;

/** POST /v1/transactions:batch with up to `batchSize` in each, answered line by line. */
export function batchWay({ target, workload, batchSize }: Pick<Assignment, 'target' | 'workload' | 'batchSize'>): OpenWay {
  const servers = new Servers(target.coordinatorUrls, MOST_CONNECTIONS);
  const request = transactionRequests(workload);
  const headers = { authorization: `Bearer ${target.token}`, 'content-type': 'application/json', accept: 'application/x-ndjson', prefer: 'wait=10' };
  const batches = new Batches((body, onData) => servers.next().post('/v1/transactions:batch', headers, body, onData), batchSize);
  return {
    attempt: (planned) => batches.attempt(JSON.stringify({ ...request(planned), idempotencyKey: timeOrderedKey() })),
    close: () => servers.close(),
  };
}

interface Waiting {
  readonly text: string;
  readonly end: (attempted: Attempted) => void;
  readonly fail: (error: unknown) => void;
}

/** Gathers items into batches: one leaves when it is full, or with what has come in the 5 ms since its first item. */
export class Batches {
  private waiting: Waiting[] = [];
  private linger: NodeJS.Timeout | undefined;

  constructor(private readonly post: PostBatch, private readonly batchSize: number) {}

  /** @param text JSON of the item, with its idempotency key */
  attempt(text: string): Promise<Attempted> {
    return new Promise((end, fail) => {
      this.waiting.push({ text, end, fail });
      if (this.waiting.length >= this.batchSize) this.leave();
      else this.linger ??= setTimeout(() => this.leave(), LINGER_MS);
    });
  }

  private leave(): void {
    clearTimeout(this.linger);
    this.linger = undefined;
    const batch = this.waiting;
    this.waiting = [];
    this.send(batch).catch((error: unknown) => { for (const { fail } of batch) fail(error); });
  }

  private async send(batch: readonly Waiting[]): Promise<void> {
    const open = new Map(batch.entries());
    const onLine = (document: unknown): void => {
      const line = document as Line;
      open.get(line.index)?.end(ofLine(line));
      open.delete(line.index);
    };
    const rest = await this.post(`{"transactions":[${batch.map(({ text }) => text).join(',')}]}`, jsonLines(onLine)).then(
      // An item whose line is missing may have been taken.
      (answer) => (answer.status < 300 ? unknown('ANSWER_LOST') : ofRefusal(answer)), ofFailure,
    );
    for (const { end } of open.values()) end(rest);
  }
}

function ofLine({ transaction, problem }: Line): Attempted {
  if (transaction !== undefined) return ofTransaction(transaction);
  return problem === undefined ? unknown('INVALID_ANSWER') : ofProblem(problem.status, problem.code);
}
