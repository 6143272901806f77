import type { Json, Txid } from '#libs/protocol';
import type { EntityManager } from 'typeorm';
import type { VoteResult } from './vote.js';

/** One branch that a handler is to act on. */
export interface BranchCall<Payload = Json> {
  readonly txid: Txid;
  /** The branch's place in its transaction; (txid, branch) is unique. */
  readonly branch: number;
  readonly operation: string;
  /** Fits the operation's schema. */
  readonly payload: Payload;
  /** In commit and abort: what prepare returned with its vote. Null in prepare. */
  readonly result: Json | null;
}

type Awaitable<T> = T | Promise<T>;

/** `any`: the schema that stands beside the handler guards the payload, so the handler may declare its own type for it. */
export type ItemPrepare = (call: BranchCall<any>, manager: EntityManager) => Awaitable<VoteResult>;
export type ItemFinish = (call: BranchCall<any>, manager: EntityManager) => Awaitable<void>;
export type BatchPrepare = (calls: readonly BranchCall<any>[], manager: EntityManager) => Awaitable<readonly VoteResult[]>;
export type BatchFinish = (calls: readonly BranchCall<any>[], manager: EntityManager) => Awaitable<void>;
