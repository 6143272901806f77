import { UnavailableError } from '../ports.js';
import type { Refusal } from './admission.js';

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

export function overloadError(refusal: Refusal): UnavailableError {
  if (refusal.code === 'OVERLOADED') return new UnavailableError('OVERLOADED', `${refusal.limit} transactions are in flight, which is this coordinator's limit`, 1_000);
  return new UnavailableError('PARTICIPANT_OVERLOADED', `${refusal.limit} undecided transactions name ${refusal.participant}, and it does not get through more at the moment`, 1_000);
}
