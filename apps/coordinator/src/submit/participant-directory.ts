import type { Acceptors, AnnouncedOperation, Json, SagaStepKind } from '#libs/protocol';
import type { ParticipantRegistry, RegisteredParticipant } from '#libs/postgres';
import { type FieldError, ProblemException } from '#libs/service';
import type { PayloadCheck, PayloadSchemas } from './payload-schemas.js';

/** What a transaction asks of one participant: a branch, or (with a kind) a step of a saga. */
export interface Work {
  readonly participant: string;
  readonly operation: string;
  readonly payload: Json;
  readonly kind?: SagaStepKind;
}

interface KnownOperation {
  readonly check: PayloadCheck;
  readonly uses: AnnouncedOperation['uses'];
  readonly stepKinds: readonly SagaStepKind[];
}

interface Known {
  readonly participant: RegisteredParticipant;
  readonly operations: ReadonlyMap<string, KnownOperation>;
}

const ADMITTED = Promise.resolve();
const REFRESH_MS = 1_000;
/** Before a refusal the registry is asked again, but not more often than this. */
const FRESH_MS = 200;
const PAUSED_RETRY_MS = 5_000;
const ACCEPTORS_RETRY_MS = 5_000;

/**
 * The participants as this instance knows them, at most about a second old: submitting a transaction must not ask the database.
 */
export class ParticipantDirectory {
  private known: ReadonlyMap<string, Known> = new Map();
  private refreshedAtMs = 0;
  private refreshing: Promise<void> | null = null;
  private timer: NodeJS.Timeout | null = null;

  constructor(private readonly registry: Pick<ParticipantRegistry, 'list'>, private readonly schemas: PayloadSchemas, private readonly onError: (error: unknown) => void) {}

  /** A database that is away does not hold the start up: until it is back nobody is known, and readiness says why. */
  async start(): Promise<void> {
    await this.refresh().catch(this.onError);
    this.timer = setInterval(() => { this.refresh().catch(this.onError); }, REFRESH_MS);
    this.timer.unref();
  }

  stop(): void {
    if (this.timer !== null) clearInterval(this.timer);
    this.timer = null;
  }

  list(): readonly RegisteredParticipant[] {
    return [...this.known.values()].map(({ participant }) => participant);
  }

  get(name: string): RegisteredParticipant | null {
    return this.known.get(name)?.participant ?? null;
  }

  /** Reads the registry; calls that come while it is read share the answer of the next reading. */
  async refresh(): Promise<void> {
    if (this.refreshing !== null) await this.refreshing.catch(() => undefined);
    this.refreshing ??= this.load().finally(() => { this.refreshing = null; });
    await this.refreshing;
  }

  /**
   * Takes work whose participants, operations and payloads are right.
   * @param list how errors name it
   * @param acceptors that the transaction rests on; empty where it needs none
   * @throws ProblemException 422 UNKNOWN_PARTICIPANT, UNKNOWN_OPERATION, UNSUITABLE_OPERATION or INVALID_PAYLOAD, 503 PARTICIPANT_PAUSED or
   * ACCEPTORS_UNKNOWN
   */
  admit(list: 'branches' | 'steps', work: readonly Work[], acceptors: Acceptors = []): Promise<void> {
    return this.problemOf(list, work, acceptors) === null ? ADMITTED : this.admitWhenFresh(list, work, acceptors);
  }

  private async admitWhenFresh(list: string, work: readonly Work[], acceptors: Acceptors): Promise<void> {
    // It may have been announced, changed or resumed a moment ago.
    if (Date.now() - this.refreshedAtMs > FRESH_MS) await this.refresh();
    const problem = this.problemOf(list, work, acceptors);
    if (problem !== null) throw problem;
  }

  private problemOf(list: string, work: readonly Work[], acceptors: Acceptors): ProblemException | null {
    return this.unknown(list, work) ?? this.unsuitable(list, work) ?? this.invalid(list, work) ?? this.paused(work) ?? this.withoutAcceptors(acceptors);
  }

  private unknown(list: string, work: readonly Work[]): ProblemException | null {
    const participants: FieldError[] = [];
    const operations: FieldError[] = [];
    work.forEach(({ participant, operation }, index) => {
      const known = this.known.get(participant);
      if (known === undefined) participants.push({ path: `${list}[${index}].participant`, message: `no participant ${JSON.stringify(participant)} has announced itself` });
      else if (!known.operations.has(operation)) operations.push({ path: `${list}[${index}].operation`, message: `${participant} does not offer ${JSON.stringify(operation)}; it offers ${[...known.operations.keys()].join(', ') || 'nothing'}` });
    });
    if (participants.length > 0) return refusal('UNKNOWN_PARTICIPANT', participants);
    return operations.length > 0 ? refusal('UNKNOWN_OPERATION', operations) : null;
  }

  private unsuitable(list: string, work: readonly Work[]): ProblemException | null {
    const errors: FieldError[] = [];
    work.forEach((one, index) => {
      const { uses, stepKinds } = this.operationOf(one);
      const { kind } = one;
      if (uses.includes(kind === undefined ? 'branch' : 'step') && (kind === undefined || stepKinds.includes(kind))) return;
      const name = `${one.participant}.${one.operation}`;
      if (kind === undefined) errors.push({ path: `${list}[${index}].operation`, message: `${name} has no prepare handler, so it can only be a step of a saga` });
      else if (!uses.includes('step')) errors.push({ path: `${list}[${index}].operation`, message: `${name} has no execute handler, so it can only be a branch of 2pc, 3pc or paxos-commit` });
      else errors.push({ path: `${list}[${index}].kind`, message: `${name} cannot be ${kind}${kind === 'compensatable' ? ', because it has no compensate handler' : ''}; it can be ${stepKinds.join(', ')}` });
    });
    return errors.length > 0 ? refusal('UNSUITABLE_OPERATION', errors) : null;
  }

  private invalid(list: string, work: readonly Work[]): ProblemException | null {
    let errors: FieldError[] | null = null;
    for (let i = 0; i < work.length; i++) {
      const found = this.operationOf(work[i]!).check(work[i]!.payload, `${list}[${i}].payload`);
      if (found.length > 0) errors = [...(errors ?? []), ...found];
    }
    return errors === null ? null : refusal('INVALID_PAYLOAD', errors);
  }

  private paused(work: readonly Work[]): ProblemException | null {
    const paused = work.find(({ participant }) => this.known.get(participant)!.participant.paused);
    if (paused === undefined) return null;
    return new ProblemException(503, 'PARTICIPANT_PAUSED', `An operator has paused ${paused.participant}: it takes no new transactions until it is resumed.`, [], PAUSED_RETRY_MS);
  }

  /** Whether they run now is not asked: that a minority of them does not is what the protocol is for. */
  private withoutAcceptors(acceptors: Acceptors): ProblemException | null {
    const missing = acceptors.filter((name) => !this.hostsAcceptor(name));
    if (missing.length === 0) return null;
    const detail = `paxos-commit rests on the acceptors ${acceptors.join(', ')} (ACCEPTORS), and no acceptor of ${missing.join(', ')} has announced itself; start ${missing.length === 1 ? 'it' : 'them'}, or use another protocol.`;
    return new ProblemException(503, 'ACCEPTORS_UNKNOWN', detail, [], ACCEPTORS_RETRY_MS, { extensions: { missing } });
  }

  /** One whose instances have all been forgotten has announced itself once, and may come back. */
  private hostsAcceptor(name: string): boolean {
    const participant = this.get(name);
    return participant !== null && (participant.instances.length === 0 || participant.instances.some(({ acceptor }) => acceptor));
  }

  private operationOf({ participant, operation }: Work): KnownOperation {
    return this.known.get(participant)!.operations.get(operation)!;
  }

  private async load(): Promise<void> {
    const participants = await this.registry.list();
    const known = new Map<string, Known>();
    for (const participant of participants) known.set(participant.name, { participant, operations: new Map(participant.operations.map((operation) => [operation.name, this.knownOperation(operation)])) });
    this.schemas.keep(participants.flatMap((participant) => participant.operations.map((operation) => operation.payloadSchema)));
    this.known = known;
    this.refreshedAtMs = Date.now();
  }

  private knownOperation({ payloadSchema, uses, stepKinds }: Partial<AnnouncedOperation> & Pick<AnnouncedOperation, 'payloadSchema'>): KnownOperation {
    // Announced by an instance of a release that knew branches only.
    return { check: this.schemas.checkFor(payloadSchema), uses: uses ?? ['branch'], stepKinds: stepKinds ?? [] };
  }
}

function refusal(code: string, errors: readonly FieldError[]): ProblemException {
  const first = errors[0]!;
  return new ProblemException(422, code, `${first.path}: ${first.message}${errors.length > 1 ? ` (and ${errors.length - 1} more)` : ''}.`, errors);
}
