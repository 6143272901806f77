import { ReasonCode, shardOf, type Txid } from '#libs/protocol';
import type { AuditEntry, AuditLog, ParticipantRegistry, RegisteredParticipant } from '#libs/postgres';
import type { ActInput, CoordinatorDriver, TransactionView } from '#libs/runtime';
import { type Logger, ProblemException } from '#libs/service';
import type { ParticipantActionBody, TransactionActionBody } from '../http/requests.js';
import { hasReached } from '../reads/progress.js';
import type { TransactionLookup } from '../reads/transaction-lookup.js';
import type { ParticipantDirectory } from '../submit/participant-directory.js';
import type { ShardList } from '../tokens.js';
import { refuseMeaningless, tooLate } from './refusals.js';

/** How long an action waits for its effect before it answers "taken". */
const EFFECT_MS = 3_000;
const PARTICIPANT_NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$/;

export interface ActionAnswer {
  readonly view: TransactionView;
  /** Whether the action has had its effect. */
  readonly done: boolean;
}

/** What people do to transactions and participants. Every action, taken or refused, is in the audit log. */
export class Operator {
  constructor(private readonly deps: {
    readonly driver: Pick<CoordinatorDriver, 'act' | 'settled'>;
    readonly lookup: Pick<TransactionLookup, 'find'>;
    readonly registry: Pick<ParticipantRegistry, 'setPaused'>;
    readonly directory: ParticipantDirectory;
    readonly audit: Pick<AuditLog, 'append'>;
    readonly shardList: ShardList;
    readonly logger: Logger;
  }) {}

  /**
   * @returns the transaction afterwards; `done`: whether the action has had its effect
   * @throws ProblemException 404, 409 NOT_OWNER, and what `refuseMeaningless` throws
   */
  act(txid: Txid, body: TransactionActionBody, actor: string): Promise<ActionAnswer> {
    const action = body.step === undefined ? body.action : `${body.action} ${body.step}`;
    const entry = { actor, action, target: txid, comment: body.comment ?? null };
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
      if (!(error instanceof ProblemException) || error.getStatus() !== 404) await this.append({ ...entry, result: error instanceof ProblemException ? error.code : 'FAILED' });
      throw error;
    }
    await this.append({ ...entry, result: resultOf(answer) });
    return answer;
  }

  /** The action is done, or refused, whether or not that can be written down: then the process's own log keeps it. */
  private async append(entry: AuditEntry): Promise<void> {
    await this.deps.audit.append(entry).catch((error: unknown) => this.deps.logger.error({ err: error, audit: entry }, 'an action could not be written to the audit log'));
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
    if (body.action === 'skip-step') return { view: after, done: after.finishedAtMs !== null || after.branches.some(({ step, state }) => step?.id === body.step && state === 'skipped') };
    const until = body.action === 'resolve' && after.decision !== null ? 'finished' : 'decided';
    const view = (await this.deps.driver.settled(txid, until, EFFECT_MS)) ?? (await this.deps.lookup.find(txid)) ?? after;
    // It lost the race against the last vote.
    if (body.action === 'cancel' && view.decision === 'COMMIT') throw tooLate(view);
    return { view, done: hasReached(view, until) };
  }

  private async notOwner(txid: Txid): Promise<ProblemException> {
    const shard = shardOf(txid);
    const owner = (await this.deps.shardList()).find((candidate) => candidate.shard === shard)?.owner ?? null;
    return new ProblemException(409, 'NOT_OWNER', `Transaction ${txid} belongs to shard ${shard}, which ${owner ?? 'no instance'} owns; send the action to that instance (GET /v1/shards lists owners), or again in a moment if the shard is just moving.`, [], 1_000, { extensions: { shard, owner } });
  }
}

function inputFor(body: TransactionActionBody, actor: string): ActInput {
  const detail = body.comment ?? `by ${actor}`;
  switch (body.action) {
    case 'cancel': return { kind: 'CANCEL', reason: { code: ReasonCode.CANCELLED, detail } };
    case 'resolve': return { kind: 'RESOLVE', reason: { code: ReasonCode.RESOLVED_BY_OPERATOR, detail } };
    case 'skip-step': return { kind: 'SKIP_STEP', step: body.step!, reason: { code: ReasonCode.RESOLVED_BY_OPERATOR, detail } };
    case 'retry-now': return { kind: 'RETRY_NOW' };
  }
}
