import { MAX_SAGA_STEPS, type SagaMessage } from '#libs/protocol';
import { type DecodersOf, toCoordinator, toParticipant } from './decoder.js';
import type { Fields } from './fields.js';
import { MAX_NAME_LENGTH, operationOf, reasonOf } from './parts.js';

export const STEP_KINDS = ['compensatable', 'pivot', 'retriable'] as const;

export const SAGA: DecodersOf<SagaMessage> = {
  EXECUTE: toParticipant((f) => ({
    kind: 'EXECUTE', ...about(f), stepKind: f.oneOf('stepKind', STEP_KINDS), ...operationOf(f), inputs: f.jsonByName('inputs', MAX_SAGA_STEPS, MAX_NAME_LENGTH),
  })),
  COMPENSATE: toParticipant((f) => ({ kind: 'COMPENSATE', ...about(f), reason: reasonOf(f) })),
  CANCEL_STEP: toParticipant((f) => ({ kind: 'CANCEL_STEP', ...about(f), reason: reasonOf(f) })),
  EXECUTED: toCoordinator((f) => ({ kind: 'EXECUTED', ...about(f), result: f.json('result') })),
  REFUSED: toCoordinator((f) => ({ kind: 'REFUSED', ...about(f), reason: reasonOf(f) })),
  FAILED: toCoordinator((f) => ({ kind: 'FAILED', ...about(f), action: f.oneOf('action', ['execute', 'compensate']), reason: reasonOf(f) })),
  COMPENSATED: toCoordinator((f) => ({ kind: 'COMPENSATED', ...about(f) })),
  CANCELLED: toCoordinator((f) => ({ kind: 'CANCELLED', ...about(f) })),
};

function about(f: Fields): Pick<SagaMessage, 'protocol' | 'txid' | 'branch' | 'step'> {
  return { protocol: 'saga', txid: f.txid(), branch: f.index('branch', MAX_SAGA_STEPS - 1), step: f.text('step', MAX_NAME_LENGTH) };
}
