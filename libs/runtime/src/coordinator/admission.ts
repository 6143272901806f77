import type { UnavailableError } from '../ports.js';
import { overloaded, participantOverloaded } from './errors.js';
import type { BeginRequest, CoordinatorOptions } from './types.js';

/**
 * How much is under way, by participant: begins that wait and transactions that are undecided. One participant that is down fills its own
 * share of the memory and leaves room for the others.
 */
export class Admission {
  private readonly byParticipant = new Map<string, number>();

  constructor(private readonly options: Pick<CoordinatorOptions, 'maxInFlight' | 'maxInFlightPerParticipant'>) {}

  /** @param inFlight unfinished transactions and begins that wait. @returns why a begin is refused, or null */
  check(participants: readonly string[], inFlight: number): UnavailableError | null {
    const { maxInFlight, maxInFlightPerParticipant } = this.options;
    if (inFlight >= maxInFlight) return overloaded(maxInFlight);
    const full = participants.find((name) => this.of(name) >= maxInFlightPerParticipant);
    return full === undefined ? null : participantOverloaded(full, maxInFlightPerParticipant);
  }

  of(participant: string): number {
    return this.byParticipant.get(participant) ?? 0;
  }

  enter(participants: readonly string[]): void {
    for (const name of participants) this.byParticipant.set(name, this.of(name) + 1);
  }

  leave(participants: readonly string[]): void {
    for (const name of participants) {
      const left = this.of(name) - 1;
      if (left > 0) this.byParticipant.set(name, left);
      else this.byParticipant.delete(name);
    }
  }
}

/** Each participant of the branches, or steps, once. */
export function participantsOf(request: BeginRequest | { readonly branches: readonly Named[] } | { readonly steps: readonly Named[] }): readonly string[] {
  const parts: readonly Named[] = 'steps' in request ? request.steps : request.branches;
  const names: string[] = [];
  for (const { participant } of parts) if (!names.includes(participant)) names.push(participant);
  return names;
}

interface Named {
  readonly participant: string;
}
