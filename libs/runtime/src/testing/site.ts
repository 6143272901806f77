import {
  stepAcceptor, stepPaxosParticipant, stepSagaParticipant, stepThreePhaseParticipant,
  type AcceptorState, type Envelope, type HandlerVote, type PaxosParticipantState, type ProtocolMessage, type SagaHandlerAnswer, type SagaParticipantState,
  type ThreePhaseParticipantState, type Txid,
} from '#libs/protocol';

type Of<Protocol> = Extract<ProtocolMessage, { readonly protocol: Protocol }>;
type Reply = Envelope<ProtocolMessage>;

const RESOLVER = { resolveAfterMs: 2_000, maxResolveIntervalMs: 30_000, staggerMs: 250 };
const REPEATER = { repeatAfterMs: 2_000, maxRepeatIntervalMs: 30_000, staggerMs: 250, leadAfterRepeats: 2 };

/**
 * A participant's site in memory: the real machines of three-phase commit, Paxos Commit (branch and acceptor) and the saga, with handlers
 * that say what the test wants. Its timers never fire: whatever it does, somebody has asked for.
 */
export class Site {
  /** What prepare says. */
  vote: HandlerVote['vote'] = 'yes';
  /** What execute and compensate say. */
  execute: SagaHandlerAnswer = { said: 'done', result: 1 };
  compensate: SagaHandlerAnswer = { said: 'done' };
  /** Messages of these kinds do not arrive. */
  readonly deafTo = new Set<ProtocolMessage['kind']>();
  private readonly threePhase = new Map<string, ThreePhaseParticipantState>();
  private readonly paxos = new Map<string, PaxosParticipantState>();
  private readonly sagas = new Map<string, SagaParticipantState>();
  private readonly acceptors = new Map<Txid, AcceptorState>();

  constructor(readonly name: string) {}

  receive(message: ProtocolMessage, nowMs: number): readonly Reply[] {
    if (this.deafTo.has(message.kind) || !('protocol' in message)) return [];
    switch (message.protocol) {
      case '3pc':
        return this.inThreePhase(message, nowMs);
      case 'paxos-commit':
        return message.kind === 'PHASE_1A' || message.kind === 'PHASE_2A' ? this.accept(message, nowMs) : this.inPaxos(message, nowMs);
      case 'saga':
        return this.inSaga(message, nowMs);
    }
  }

  /** What a saga's step has done here. */
  stepState(txid: Txid, branch: number): string | null {
    const state = this.sagas.get(`${txid} ${branch}`);
    return state?.phase === 'stored' ? state.row.state : null;
  }

  private inThreePhase(message: Of<'3pc'>, nowMs: number): readonly Reply[] {
    const key = `${message.txid} ${message.to}`;
    const config = { ...RESOLVER, name: this.name };
    let step = stepThreePhaseParticipant(this.threePhase.get(key) ?? { phase: 'none' }, { kind: 'MESSAGE', message: message as never }, nowMs, config);
    const { run } = step.ready;
    if (run) step = stepThreePhaseParticipant(step.state, { kind: 'EXECUTED', vote: this.voteFor(run.action) }, nowMs, config);
    this.threePhase.set(key, step.state);
    return step.ready.messages as readonly Reply[];
  }

  private inPaxos(message: Of<'paxos-commit'>, nowMs: number): readonly Reply[] {
    if (message.kind !== 'PREPARE' && message.kind !== 'COMMIT' && message.kind !== 'ABORT') return [];
    const key = `${message.txid} ${message.branch}`;
    const config = { ...REPEATER, name: this.name };
    let step = stepPaxosParticipant(this.paxos.get(key) ?? { phase: 'none' }, { kind: 'MESSAGE', message }, nowMs, config);
    const { run } = step.ready;
    if (run) step = stepPaxosParticipant(step.state, { kind: 'EXECUTED', vote: this.voteFor(run.action) }, nowMs, config);
    this.paxos.set(key, step.state);
    return step.ready.messages;
  }

  private accept(message: Extract<Of<'paxos-commit'>, { kind: 'PHASE_1A' | 'PHASE_2A' }>, nowMs: number): readonly Reply[] {
    const step = stepAcceptor(this.acceptors.get(message.txid) ?? null, { kind: 'MESSAGE', message }, nowMs, { name: this.name });
    if (step.state !== null) this.acceptors.set(message.txid, step.state);
    return step.ready.messages;
  }

  private inSaga(message: Of<'saga'>, nowMs: number): readonly Reply[] {
    const key = `${message.txid} ${message.branch}`;
    let step = stepSagaParticipant(this.sagas.get(key) ?? { phase: 'none' }, { kind: 'MESSAGE', message: message as never }, nowMs, {});
    const { run } = step.ready;
    if (run) step = stepSagaParticipant(step.state, { kind: 'EXECUTED', answer: this[run.action] }, nowMs, {});
    this.sagas.set(key, step.state);
    return step.ready.messages;
  }

  private voteFor(action: string): HandlerVote | null {
    if (action !== 'prepare') return null;
    return this.vote === 'no' ? { vote: 'no', reason: { code: 'OUT_OF_STOCK' } } : { vote: this.vote, result: 1 };
  }
}
