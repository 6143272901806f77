import 'reflect-metadata';
import { DiscoveryService } from '@nestjs/core';
import type { Json } from '#libs/protocol';
import type { BatchExecute, BatchFinish, BatchPrepare, ItemExecute, ItemFinish, ItemPrepare } from './call.js';

/** `lock` is no action of the protocol: it runs before the others of its batch. */
export type DeclaredAction = 'prepare' | 'commit' | 'abort' | 'execute' | 'compensate' | 'lock';

export interface HandlerDeclaration {
  readonly operation: string;
  readonly action: DeclaredAction;
  /** Takes all calls of a batch at once. */
  readonly batch: boolean;
  readonly method: string;
  /** Of a prepare or execute handler. */
  readonly schema: Json | undefined;
  readonly oneStatement: boolean;
}

export interface OperationOptions {
  /** JSON Schema (draft 2020-12) of the payload; announced to the coordinator and checked at both ends. The same for prepare and execute. */
  readonly schema: Json;
}

export interface FinishOptions {
  /**
   * True: the handler runs one statement and no more, so the handlers after it may start theirs before its answer is there. The database
   * runs them in their order all the same; a round trip is saved. What goes wrong is found out before anything counts.
   */
  readonly oneStatement?: boolean;
}

type MethodDecoratorFor<Handler> = <Method extends Handler>(target: object, method: string | symbol, descriptor: TypedPropertyDescriptor<Method>) => void;

const DECLARATIONS = Symbol('concordat:handlers');

/** Marks a provider whose methods are handlers of the participant `name`. */
export const Participant = DiscoveryService.createDecorator<string>();

/** The handlers of a class, its base classes' included. */
export function declarationsOf(type: Function): readonly HandlerDeclaration[] {
  return (Reflect.getMetadata(DECLARATIONS, type) as readonly HandlerDeclaration[] | undefined) ?? [];
}

function declare<Handler>(operation: string, action: DeclaredAction, batch: boolean, { schema, oneStatement = false }: Partial<OperationOptions> & FinishOptions = {}): MethodDecoratorFor<Handler> {
  return (target, method) => {
    const declaration: HandlerDeclaration = { operation, action, batch, method: String(method), schema, oneStatement };
    Reflect.defineMetadata(DECLARATIONS, [...declarationsOf(target.constructor), declaration], target.constructor);
  };
}

/**
 * Phase one of an operation, for one branch: checks, and makes the effects that a COMMIT or an ABORT will finish. Runs in the
 * local transaction that also holds the SDK's branch row, under a savepoint: what a handler did before it refused or threw is
 * rolled back. It may run more than once for the same branch (each time on the rolled-back state), so it must have no effect
 * outside of `manager`.
 */
export const Prepare = (operation: string, options: OperationOptions): MethodDecoratorFor<ItemPrepare> => declare(operation, 'prepare', false, options);
/** Phase two for one branch that voted yes. It cannot refuse: a handler that throws is tried again until it does not. */
export const Commit = (operation: string): MethodDecoratorFor<ItemFinish> => declare(operation, 'commit', false);
/** Undoes what prepare did for one branch that voted yes. It cannot refuse. */
export const Abort = (operation: string): MethodDecoratorFor<ItemFinish> => declare(operation, 'abort', false);

/**
 * As `Prepare`, for all branches of a batch at once: answers one vote per call, in the order of the calls. It must not throw for
 * the fault of one call (that makes the batch run again call by call) and must leave no effect for calls that it refuses.
 */
export const PrepareMany = (operation: string, options: OperationOptions): MethodDecoratorFor<BatchPrepare> => declare(operation, 'prepare', true, options);
export const CommitMany = (operation: string, options: FinishOptions = {}): MethodDecoratorFor<BatchFinish> => declare(operation, 'commit', true, options);
export const AbortMany = (operation: string, options: FinishOptions = {}): MethodDecoratorFor<BatchFinish> => declare(operation, 'abort', true, options);

/**
 * A step of a saga: makes its effects for good, in the local transaction that also holds the SDK's row, so they happen once however
 * often the message comes. `vote.yes(result)`: done. `vote.no(code)`: refused, and rolled back. What it throws is transient: rolled
 * back too, and the coordinator asks again until the step's attempts are used up. As in prepare, no effect outside of `manager`.
 */
export const Execute = (operation: string, options: OperationOptions): MethodDecoratorFor<ItemExecute> => declare(operation, 'execute', false, options);
/**
 * Undoes in business terms what execute did; runs once, and only if execute has run. It cannot refuse: a handler that throws is tried
 * again until it does not. An operation that has one can be a compensatable step, one without it only a pivot or a retriable step.
 */
export const Compensate = (operation: string): MethodDecoratorFor<ItemFinish> => declare(operation, 'compensate', false);
/** As `Execute`, for all steps of a batch at once; what `PrepareMany` must heed holds for it too. */
export const ExecuteMany = (operation: string, options: OperationOptions): MethodDecoratorFor<BatchExecute> => declare(operation, 'execute', true, options);
export const CompensateMany = (operation: string, options: FinishOptions = {}): MethodDecoratorFor<BatchFinish> => declare(operation, 'compensate', true, options);

/**
 * Optional: locks, in one order, the rows that the calls will change. Called with the calls of all actions of the batch, before
 * their handlers. A batch holds prepares, commits, aborts, executes and compensates; without this, two batches that touch the same
 * rows in different actions can wait for each other (a deadlock: retried, but after a second).
 */
export const LockMany = (operation: string, options: FinishOptions = {}): MethodDecoratorFor<BatchFinish> => declare(operation, 'lock', true, options);
