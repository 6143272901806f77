import { ReasonCode, shardOf, type Txid } from '#libs/protocol';
import type { AuditEntry, AuditLog, ParticipantRegistry, RegisteredParticipant } from '#libs/postgres';
import type { CoordinatorDriver, TransactionView } from '#libs/runtime';
import { ProblemException } from '#libs/service';
import type { ParticipantActionBody, TransactionActionBody } from '../http/requests.js';
import type { TransactionLookup } from '../reads/transaction-lookup.js';
import type { ParticipantDirectory } from '../submit/participant-directory.js';
import type { ShardList } from '../tokens.js';

/** How long an action waits for its effect before it answers "taken". */
const EFFECT_MS = 3_000;
const PARTICIPANT_NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$/;

export interface ActionAnswer {
  readonly view: TransactionView;
  /** Whether the action has had its effect. */
  readonly done: boolean;
}

type Input = Parameters<CoordinatorDriver['act']>[1];

/** What people do to transactions and participants. Every action, taken or refused, is in the audit log. */
export class Operator {
  constructor(private readonly deps: {
    readonly driver: Pick<CoordinatorDriver, 'act' | 'settled'>;
    readonly lookup: Pick<TransactionLookup, 'find'>;
    readonly registry: Pick<ParticipantRegistry, 'setPaused'>;
    readonly directory: ParticipantDirectory;
    readonly audit: Pick<AuditLog, 'append'>;
    readonly shardList: ShardList;
  }) {}

  /**
   * @returns the transaction afterwards; `done`: whether the action has had its effect
   * @throws ProblemException 404, 409 ALREADY_DECIDED, ALREADY_FINISHED, DECISION_CONFLICT or NOT_OWNER, 422 ACTION_NOT_AVAILABLE
   */
  act(txid: Txid, body: TransactionActionBody, actor: string): Promise<ActionAnswer> {
    const entry = { actor, action: body.action, target: txid, comment: body.comment ?? null };
    return this.audited(entry, () => this.actOnTransaction(txid, body, actor), ({ done }) => (done ? 'done' : 'taken'));
  }

  /** @throws ProblemException 404 */
  pauseOrResume(name: string, body: ParticipantActionBody, actor: string): Promise<RegisteredParticipant> {
    const entry = { actor, action: body.action, target: `participant/${name}`, comment: body.comment ?? null };
    return this.audited(entry, () => this.setPaused(name, body.action === 'pause'), () => 'done');
  }

  private async audited<T>(entry: Omit<AuditEntry, 'result'>, work: () => Promise<T>, resultOf: (answer: T) => string): Promise<T> {
    let answer: T;
    try {
      answer = await work();
    } catch (error) {
      // What does not exist is not audited: anybody's typing errors could fill the log.
      if (error instanceof ProblemException && error.getStatus() !== 404) await this.deps.audit.append({ ...entry, result: error.code });
      throw error;
    }
    await this.deps.audit.append({ ...entry, result: resultOf(answer) });
    return answer;
  }

  private async actOnTransaction(txid: Txid, body: TransactionActionBody, actor: string): Promise<ActionAnswer> {
    const before = await this.deps.lookup.find(txid);
    if (before === null) throw new ProblemException(404, 'UNKNOWN_TRANSACTION', `There is no transaction ${txid}.`);
    refuseMeaningless(before, body);
    const after = await this.deps.driver.act(txid, inputFor(body, actor));
    if (after === null) throw await this.notOwner(txid);
    return this.effect(txid, body, after);
  }

  private async setPaused(name: string, paused: boolean): Promise<RegisteredParticipant> {
    const { registry, directory } = this.deps;
    if (!PARTICIPANT_NAME.test(name) || !(await registry.setPaused(name, paused))) throw new ProblemException(404, 'UNKNOWN_PARTICIPANT', `No participant ${JSON.stringify(name.slice(0, 100))} has announced itself.`);
    await directory.refresh();
    return directory.get(name)!;
  }

  private async effect(txid: Txid, body: TransactionActionBody, after: TransactionView): Promise<ActionAnswer> {
    if (body.action === 'retry-now') return { view: after, done: true };
    const until = body.action === 'resolve' && after.status !== 'pending' ? 'finished' : 'decided';
    const view = (await this.deps.driver.settled(txid, until, EFFECT_MS)) ?? (await this.deps.lookup.find(txid)) ?? after;
    // It lost the race against the last vote.
    if (body.action === 'cancel' && view.status === 'committed') throw tooLate(view);
    return { view, done: until === 'decided' ? view.status !== 'pending' : view.finishedAtMs !== null };
  }

  private async notOwner(txid: Txid): Promise<ProblemException> {
    const shard = shardOf(txid);
    const owner = (await this.deps.shardList()).find((candidate) => candidate.shard === shard)?.owner ?? null;
    return new ProblemException(409, 'NOT_OWNER', `Transaction ${txid} belongs to shard ${shard}, which ${owner ?? 'no instance'} owns; send the action to that instance (GET /v1/shards lists owners), or again in a moment if the shard is just moving.`, [], 1_000, { extensions: { shard, owner } });
  }
}

function refuseMeaningless(view: TransactionView, body: TransactionActionBody): void {
  if (body.action === 'skip-step') throw new ProblemException(422, 'ACTION_NOT_AVAILABLE', `skip-step is an action of sagas; ${view.protocol} has no steps.`);
  if (body.decision !== undefined && body.action !== 'resolve') throw new ProblemException(422, 'ACTION_NOT_AVAILABLE', 'Only resolve takes a decision.', [{ path: 'decision', message: 'belongs to resolve' }]);
  if (view.finishedAtMs !== null) throw new ProblemException(409, 'ALREADY_FINISHED', `Transaction ${view.txid} is ${view.status} and finished: nothing is left to do.`);
  if (body.action === 'cancel' && view.status !== 'pending') throw tooLate(view);
  if (body.action === 'resolve') refuseConflict(view, body.decision);
}

/** The register is write-once, and COMMIT may only enter it when all have voted yes. */
function refuseConflict(view: TransactionView, decision: 'commit' | 'abort' | undefined): void {
  if (decision === undefined) return;
  const possible = view.status === 'committed' ? 'commit' : 'abort';
  if (decision === possible) return;
  const why = view.status === 'pending' ? 'is undecided, and not all participants have voted yes: it can only be resolved to abort' : `is ${view.status}, which cannot be taken back: it can only be resolved to ${possible}`;
  throw new ProblemException(409, 'DECISION_CONFLICT', `Transaction ${view.txid} ${why}.`, [{ path: 'decision', message: `must be ${possible}` }]);
}

function tooLate(view: TransactionView): ProblemException {
  return new ProblemException(409, 'ALREADY_DECIDED', `Transaction ${view.txid} is ${view.status}; a decision cannot be taken back.`);
}

function inputFor(body: TransactionActionBody, actor: string): Input {
  const detail = body.comment ?? `by ${actor}`;
  if (body.action === 'cancel') return { kind: 'CANCEL', reason: { code: ReasonCode.CANCELLED, detail } };
  if (body.action === 'resolve') return { kind: 'RESOLVE', reason: { code: ReasonCode.RESOLVED_BY_OPERATOR, detail } };
  return { kind: 'RETRY_NOW' };
}
