import type { Announce, AnnouncedOperation } from '#libs/protocol';
import { type Decoder, toCoordinator } from './decoder.js';
import { DecodeError } from './errors.js';
import { choice, Fields } from './fields.js';
import { MAX_NAME_LENGTH } from './parts.js';
import { STEP_KINDS } from './saga.js';

const MAX_OPERATIONS = 1_000;
const USES = ['branch', 'step'] as const;

/** A sender from before there were sagas and acceptors tells of neither: its operations are branches. */
export const ANNOUNCEMENT: Decoder<Announce> = toCoordinator((f) => ({
  kind: 'ANNOUNCE',
  participant: f.name('participant'),
  instance: f.text('instance', MAX_NAME_LENGTH),
  version: f.text('version', MAX_NAME_LENGTH),
  operations: f.list('operations', MAX_OPERATIONS, operation),
  acceptor: f.has('acceptor') ? f.flag('acceptor') : false,
}));

function operation(value: unknown, path: string): AnnouncedOperation {
  const f = Fields.of(value, path);
  const uses = f.has('uses') ? f.list('uses', USES.length, (use, at) => choice(use, at, USES), 1) : ['branch' as const];
  const stepKinds = f.has('stepKinds') ? f.list('stepKinds', STEP_KINDS.length, (kind, at) => choice(kind, at, STEP_KINDS)) : [];
  if ((stepKinds.length > 0) !== uses.includes('step')) throw new DecodeError('INVALID_MESSAGE', `${path} must have kinds of step if and only if it can be a step, got ${stepKinds.length} of them`);
  return { name: f.text('name', MAX_NAME_LENGTH), uses, stepKinds, payloadSchema: f.json('payloadSchema') };
}
