import { UnavailableError } from '../ports.js';

export function noShard(): UnavailableError {
  return new UnavailableError('NO_SHARD', 'this coordinator owns no shard at the moment; another one may', 1_000);
}

export function storeUnavailable(graceMs: number): UnavailableError {
  return new UnavailableError('STORE_UNAVAILABLE', `the coordinator's database has not answered for ${graceMs} ms`, 2_000);
}

export function stopped(): UnavailableError {
  return new UnavailableError('SHUTTING_DOWN', 'this coordinator is shutting down; ask another one', 1_000);
}

export function transportUnavailable(): UnavailableError {
  return new UnavailableError('TRANSPORT_UNAVAILABLE', 'the message broker is out of reach', 2_000);
}

export function overloaded(maxInFlight: number): UnavailableError {
  return new UnavailableError('OVERLOADED', `${maxInFlight} transactions are in flight, which is this coordinator's limit`, 1_000);
}

export function participantOverloaded(participant: string, max: number): UnavailableError {
  return new UnavailableError('PARTICIPANT_OVERLOADED', `${max} undecided transactions name ${participant}, and it does not get through more at the moment`, 1_000);
}
