import type { Announce, Message, ProtocolMessage, ProtocolName, TwoPhaseMessage } from '#libs/protocol';
import { ANNOUNCEMENT } from './announcement.js';
import type { Decoder, DecodersOf, InboxRole } from './decoder.js';
import { DecodeError } from './errors.js';
import { excerpt, Fields } from './fields.js';
import { PAXOS_COMMIT } from './paxos-commit.js';
import { SAGA } from './saga.js';
import { THREE_PHASE_COMMIT } from './three-phase-commit.js';
import { TWO_PHASE_COMMIT } from './two-phase-commit.js';

/** Announcements belong to no protocol. They carry no `protocol`, and neither do the messages of two-phase commit. */
type OfNoProtocol = Announce | TwoPhaseMessage;
type ProtocolOnWire = Exclude<ProtocolName, '2pc'>;

const OF_NO_PROTOCOL: DecodersOf<OfNoProtocol> = { ...TWO_PHASE_COMMIT, ANNOUNCE: ANNOUNCEMENT };
/** A protocol without decoders does not compile. */
const BY_PROTOCOL: { readonly [P in ProtocolOnWire]: DecodersOf<Extract<ProtocolMessage, { readonly protocol: P }>> } = {
  '3pc': THREE_PHASE_COMMIT,
  'paxos-commit': PAXOS_COMMIT,
  saga: SAGA,
};

/**
 * Checks one message that was found in an inbox of the given role.
 * @param path what to call the message in errors, e.g. `messages[3]`
 * @throws DecodeError UNKNOWN_KIND, WRONG_INBOX, INVALID_MESSAGE
 */
export function decodeMessage(value: unknown, role: InboxRole, path: string): Message {
  const fields = Fields.of(value, path);
  const { kind } = value as { kind?: unknown };
  const decoder = entry(decodersOf(fields, value, path), kind);
  if (decoder === undefined) throw new DecodeError('UNKNOWN_KIND', `${path}.kind ${excerpt(kind)} is not a kind of message`);
  if (!decoder.inboxes.includes(role)) throw new DecodeError('WRONG_INBOX', `${path}: ${String(kind)} does not belong into the inbox of a ${role}`);
  return decoder.decode(fields);
}

type AnyDecoders = Readonly<Record<string, Decoder<Message>>>;

function decodersOf(fields: Fields, value: unknown, path: string): AnyDecoders {
  if (!fields.has('protocol')) return OF_NO_PROTOCOL;
  const { protocol } = value as { protocol: unknown };
  const decoders = entry<AnyDecoders>(BY_PROTOCOL, protocol);
  if (decoders === undefined) throw new DecodeError('UNKNOWN_KIND', `${path}.protocol ${excerpt(protocol)} is not a protocol that names itself in messages`);
  return decoders;
}

function entry<T>(table: Readonly<Record<string, T>>, name: unknown): T | undefined {
  return typeof name === 'string' && Object.hasOwn(table, name) ? table[name] : undefined;
}
