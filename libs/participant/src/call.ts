import type { Json, SagaInputs, Txid } from '#libs/protocol';
import type { EntityManager } from 'typeorm';
import type { StepResult, VoteResult } from './vote.js';

/** One branch, or step of a saga, that a handler is to act on. */
export interface BranchCall<Payload = Json> {
  readonly txid: Txid;
  /** The place of the branch (or step) in its transaction; (txid, branch) is unique. */
  readonly branch: number;
  readonly operation: string;
  /** Fits the operation's schema. */
  readonly payload: Payload;
  /** In execute: the results of all steps that this one depends on, directly or not, by step id. Empty otherwise. */
  readonly inputs: SagaInputs;
  /** In commit and abort: what prepare returned with its vote; in compensate: what execute returned. Null otherwise. */
  readonly result: Json | null;
}

type Awaitable<T> = T | Promise<T>;

/** `any`: the schema that stands beside the handler guards the payload, so the handler may declare its own type for it. */
export type ItemPrepare = (call: BranchCall<any>, manager: EntityManager) => Awaitable<VoteResult>;
export type ItemExecute = (call: BranchCall<any>, manager: EntityManager) => Awaitable<StepResult>;
/** Commit, abort, compensate. */
export type ItemFinish = (call: BranchCall<any>, manager: EntityManager) => Awaitable<void>;
export type BatchPrepare = (calls: readonly BranchCall<any>[], manager: EntityManager) => Awaitable<readonly VoteResult[]>;
export type BatchExecute = (calls: readonly BranchCall<any>[], manager: EntityManager) => Awaitable<readonly StepResult[]>;
export type BatchFinish = (calls: readonly BranchCall<any>[], manager: EntityManager) => Awaitable<void>;
