import type { BranchSpec } from '#libs/protocol';
import type { ParticipantRegistry, RegisteredParticipant } from '#libs/postgres';
import { type FieldError, ProblemException } from '#libs/service';
import type { PayloadCheck, PayloadSchemas } from './payload-schemas.js';

interface Known {
  readonly participant: RegisteredParticipant;
  readonly operations: ReadonlyMap<string, PayloadCheck>;
}

const REFRESH_MS = 1_000;
/** Before a refusal the registry is asked again, but not more often than this. */
const FRESH_MS = 200;
const PAUSED_RETRY_MS = 5_000;

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
   * Takes branches whose participants, operations and payloads are right.
   * @throws ProblemException 422 UNKNOWN_PARTICIPANT, UNKNOWN_OPERATION or INVALID_PAYLOAD, 503 PARTICIPANT_PAUSED
   */
  async admit(branches: readonly BranchSpec[]): Promise<void> {
    if (this.problemOf(branches) === null) return;
    // It may have been announced, changed or resumed a moment ago.
    if (Date.now() - this.refreshedAtMs > FRESH_MS) await this.refresh();
    const problem = this.problemOf(branches);
    if (problem !== null) throw problem;
  }

  private problemOf(branches: readonly BranchSpec[]): ProblemException | null {
    return this.unknown(branches) ?? this.invalid(branches) ?? this.paused(branches);
  }

  private unknown(branches: readonly BranchSpec[]): ProblemException | null {
    const participants: FieldError[] = [];
    const operations: FieldError[] = [];
    branches.forEach(({ participant, operation }, index) => {
      const known = this.known.get(participant);
      if (known === undefined) participants.push({ path: `branches[${index}].participant`, message: `no participant ${JSON.stringify(participant)} has announced itself` });
      else if (!known.operations.has(operation)) operations.push({ path: `branches[${index}].operation`, message: `${participant} does not offer ${JSON.stringify(operation)}; it offers ${[...known.operations.keys()].join(', ')}` });
    });
    if (participants.length > 0) return refusal('UNKNOWN_PARTICIPANT', participants);
    return operations.length > 0 ? refusal('UNKNOWN_OPERATION', operations) : null;
  }

  private invalid(branches: readonly BranchSpec[]): ProblemException | null {
    let errors: FieldError[] | null = null;
    for (let i = 0; i < branches.length; i++) {
      const { participant, operation, payload } = branches[i]!;
      const found = this.known.get(participant)!.operations.get(operation)!(payload, `branches[${i}].payload`);
      if (found.length > 0) errors = [...(errors ?? []), ...found];
    }
    return errors === null ? null : refusal('INVALID_PAYLOAD', errors);
  }

  private paused(branches: readonly BranchSpec[]): ProblemException | null {
    const paused = branches.find(({ participant }) => this.known.get(participant)!.participant.paused);
    if (paused === undefined) return null;
    return new ProblemException(503, 'PARTICIPANT_PAUSED', `An operator has paused ${paused.participant}: it takes no new transactions until it is resumed.`, [], PAUSED_RETRY_MS);
  }

  private async load(): Promise<void> {
    const participants = await this.registry.list();
    const known = new Map<string, Known>();
    for (const participant of participants) {
      const operations = new Map(participant.operations.map((operation) => [operation.name, this.schemas.checkFor(operation.payloadSchema)]));
      known.set(participant.name, { participant, operations });
    }
    this.schemas.keep(participants.flatMap((participant) => participant.operations.map((operation) => operation.payloadSchema)));
    this.known = known;
    this.refreshedAtMs = Date.now();
  }
}

function refusal(code: string, errors: readonly FieldError[]): ProblemException {
  const first = errors[0]!;
  return new ProblemException(422, code, `${first.path}: ${first.message}${errors.length > 1 ? ` (and ${errors.length - 1} more)` : ''}.`, errors);
}
