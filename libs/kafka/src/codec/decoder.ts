import type { Fields } from './fields.js';

/** Whose inbox. Acceptors and leaders of Paxos Commit read the inbox of the participant whose site they live on. */
export type InboxRole = 'coordinator' | 'participant';

/** Reads one kind of message. Anything found in an inbox that does not take it is a defect of its sender. */
export interface Decoder<M> {
  readonly inboxes: readonly InboxRole[];
  /** Builds a fresh message of the known fields, so that fields added by a newer sender are ignored and nothing unchecked gets in. */
  readonly decode: (fields: Fields) => M;
}

/** One decoder per kind: a kind without one does not compile. */
export type DecodersOf<M extends { readonly kind: string }> = { readonly [K in M['kind']]: Decoder<Extract<M, { readonly kind: K }>> };

export function toCoordinator<M>(decode: (fields: Fields) => M): Decoder<M> {
  return { inboxes: ['coordinator'], decode };
}

export function toParticipant<M>(decode: (fields: Fields) => M): Decoder<M> {
  return { inboxes: ['participant'], decode };
}

/** Between sites that are equals. */
export function toAnySite<M>(decode: (fields: Fields) => M): Decoder<M> {
  return { inboxes: ['coordinator', 'participant'], decode };
}
