import { isDeepStrictEqual } from 'node:util';
import type { AnnouncedOperation, Json, SagaStepKind } from '#libs/protocol';
import type { HandlerCall } from '#libs/runtime';
import type { EntityManager } from 'typeorm';
import type { BranchCall } from './call.js';
import { type DeclaredAction, declarationsOf, type HandlerDeclaration } from './decorators.js';
import { ParticipantDefinitionError } from './errors.js';
import { compilePayloadSchema, type PayloadCheck } from './payload-schema.js';

/** A handler bound to its instance. What it returns is not trusted: it comes from users' code. */
export type BoundHandler =
  | { readonly batch: false; readonly call: (call: BranchCall, manager: EntityManager) => unknown }
  | { readonly batch: true; readonly oneStatement: boolean; readonly call: (calls: readonly BranchCall[], manager: EntityManager) => unknown };

export interface OperationDefinition {
  readonly name: string;
  readonly payloadSchema: Json;
  readonly checkPayload: PayloadCheck;
  /** Null: it cannot be a branch. */
  readonly branch: BranchHandlers | null;
  /** Null: it cannot be a step of a saga. */
  readonly step: StepHandlers | null;
  readonly lock: Extract<BoundHandler, { batch: true }> | null;
}

/** Of a branch of two-phase, three-phase or Paxos commit: they ask the same of a handler. */
export interface BranchHandlers {
  readonly prepare: BoundHandler;
  readonly commit: BoundHandler;
  readonly abort: BoundHandler;
}

export interface StepHandlers {
  readonly execute: BoundHandler;
  /** Null: it cannot be undone. */
  readonly compensate: BoundHandler | null;
}

export type ParticipantDefinition = ReadonlyMap<string, OperationDefinition>;

interface Found {
  readonly owner: object;
  readonly declaration: HandlerDeclaration;
}

const BRANCH = ['prepare', 'commit', 'abort'] as const;
const STEP = ['execute', 'compensate'] as const;
const OPERATION_NAME = /^[A-Za-z][\w.-]{0,99}$/;
const DECORATOR: Readonly<Record<DeclaredAction, string>> = {
  prepare: '@Prepare or @PrepareMany', commit: '@Commit or @CommitMany', abort: '@Abort or @AbortMany',
  execute: '@Execute or @ExecuteMany', compensate: '@Compensate or @CompensateMany', lock: '@LockMany',
};

/**
 * The operations of a participant, from the instances of its decorated classes.
 * @throws ParticipantDefinitionError naming class, operation and what is missing, double or invalid
 */
export function defineParticipant(name: string, instances: readonly object[]): ParticipantDefinition {
  const byOperation = new Map<string, Map<DeclaredAction, Found>>();
  for (const owner of instances) for (const declaration of ownDeclarations(name, owner)) add(byOperation, owner, declaration);
  return new Map([...byOperation].map(([operation, found]) => [operation, defineOperation(operation, found)]));
}

export function announcedOperations(definition: ParticipantDefinition): readonly AnnouncedOperation[] {
  return [...definition.values()].map(({ name, payloadSchema, branch, step }) => ({
    name,
    uses: [...(branch === null ? [] : ['branch' as const]), ...(step === null ? [] : ['step' as const])],
    stepKinds: stepKindsOf(step),
    payloadSchema,
  }));
}

function stepKindsOf(step: StepHandlers | null): readonly SagaStepKind[] {
  if (step === null) return [];
  return step.compensate === null ? ['pivot', 'retriable'] : ['compensatable', 'pivot', 'retriable'];
}

/** The handlers that an action needs; null when the operation does not have all of them. */
export function handlersFor({ branch, step }: OperationDefinition, action: HandlerCall['action']): readonly BoundHandler[] | null {
  const needed = action === 'prepare-and-commit' ? [branch?.prepare, branch?.commit] : [action === 'execute' || action === 'compensate' ? step?.[action] : branch?.[action]];
  return needed.every((handler) => handler !== undefined && handler !== null) ? (needed as readonly BoundHandler[]) : null;
}

function ownDeclarations(name: string, owner: object): readonly HandlerDeclaration[] {
  const declarations = declarationsOf(owner.constructor);
  if (declarations.length === 0) throw new ParticipantDefinitionError('NO_HANDLERS', `${owner.constructor.name} is a @Participant('${name}') without handlers; it takes methods with ${BRANCH.map((action) => DECORATOR[action]).join(', ')}, or with ${STEP.map((action) => DECORATOR[action]).join(', ')}`);
  return declarations;
}

function add(byOperation: Map<string, Map<DeclaredAction, Found>>, owner: object, declaration: HandlerDeclaration): void {
  const { operation, action } = declaration;
  if (!OPERATION_NAME.test(operation)) throw new ParticipantDefinitionError('INVALID_OPERATION', `${place(owner, declaration)}: ${JSON.stringify(operation)} is no operation name; it takes 1 to 100 letters, digits, dots, dashes or underscores, beginning with a letter`);
  const actions = byOperation.get(operation) ?? new Map<DeclaredAction, Found>();
  const other = actions.get(action);
  if (other !== undefined && !isSame(other, owner, declaration)) throw new ParticipantDefinitionError('DUPLICATE_HANDLER', `operation '${operation}' has two ${action} handlers: ${place(other.owner, other.declaration)} and ${place(owner, declaration)}; it takes one`);
  byOperation.set(operation, actions.set(action, { owner, declaration }));
}

/** A subclass that overrides a handler declares it a second time. */
function isSame(other: Found, owner: object, declaration: HandlerDeclaration): boolean {
  return other.owner === owner && other.declaration.method === declaration.method && other.declaration.batch === declaration.batch;
}

function defineOperation(name: string, found: ReadonlyMap<DeclaredAction, Found>): OperationDefinition {
  const isBranch = BRANCH.some((action) => found.has(action));
  const isStep = STEP.some((action) => found.has(action));
  if (isBranch || !isStep) requireHandlers(name, found, BRANCH);
  if (isStep) requireHandlers(name, found, ['execute']);
  checkSchemas(name, found);
  const schemaOwner = (found.get('prepare') ?? found.get('execute'))!;
  const handler = (action: DeclaredAction): BoundHandler => bind(found.get(action)!);
  return {
    name,
    payloadSchema: schemaOwner.declaration.schema as Json,
    checkPayload: compile(name, schemaOwner),
    branch: isBranch ? { prepare: handler('prepare'), commit: handler('commit'), abort: handler('abort') } : null,
    step: isStep ? { execute: handler('execute'), compensate: found.has('compensate') ? handler('compensate') : null } : null,
    lock: found.has('lock') ? (handler('lock') as Extract<BoundHandler, { batch: true }>) : null,
  };
}

/** Half of an operation is worse than none: its first COMMIT (or COMPENSATE) would find no handler. */
function requireHandlers(name: string, found: ReadonlyMap<DeclaredAction, Found>, actions: readonly DeclaredAction[]): void {
  for (const action of actions) {
    if (!found.has(action)) throw new ParticipantDefinitionError('MISSING_HANDLER', `operation '${name}' of ${classNames(found)} has no ${action} handler; add a method with ${DECORATOR[action]}('${name}')`);
  }
}

/** An operation is announced with one schema, whatever it is used for. */
function checkSchemas(name: string, found: ReadonlyMap<DeclaredAction, Found>): void {
  const [prepare, execute] = [found.get('prepare'), found.get('execute')];
  if (prepare === undefined || execute === undefined || isDeepStrictEqual(prepare.declaration.schema, execute.declaration.schema)) return;
  throw new ParticipantDefinitionError('DIFFERENT_SCHEMAS', `operation '${name}' has two schemas that differ: of ${place(prepare.owner, prepare.declaration)} and of ${place(execute.owner, execute.declaration)}; it takes one, or two operations`);
}

function compile(operation: string, { owner, declaration }: Found): PayloadCheck {
  try {
    return compilePayloadSchema(declaration.schema as Json);
  } catch (error) {
    throw new ParticipantDefinitionError('INVALID_SCHEMA', `${place(owner, declaration)}: the schema of operation '${operation}' is not valid: ${(error as Error).message}`);
  }
}

function bind({ owner, declaration }: Found): BoundHandler {
  const method = (owner as Record<string, (...args: unknown[]) => unknown>)[declaration.method]!;
  const call = (subject: unknown, manager: EntityManager): unknown => method.call(owner, subject, manager);
  return { batch: declaration.batch, oneStatement: declaration.oneStatement, call } as BoundHandler;
}

function place(owner: object, declaration: HandlerDeclaration): string {
  return `${owner.constructor.name}.${declaration.method}`;
}

function classNames(found: ReadonlyMap<DeclaredAction, Found>): string {
  return [...new Set([...found.values()].map(({ owner }) => owner.constructor.name))].join(', ');
}
