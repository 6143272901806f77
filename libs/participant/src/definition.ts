import type { AnnouncedOperation, Json } from '#libs/protocol';
import type { EntityManager } from 'typeorm';
import type { BranchCall } from './call.js';
import { type DeclaredAction, declarationsOf, type HandlerDeclaration } from './decorators.js';
import { ParticipantDefinitionError } from './errors.js';
import { compilePayloadSchema, type PayloadCheck } from './payload-schema.js';

/** A handler bound to its instance. What it returns is not trusted: it comes from users' code. */
export type BoundHandler =
  | { readonly batch: false; readonly call: (call: BranchCall, manager: EntityManager) => unknown }
  | { readonly batch: true; readonly call: (calls: readonly BranchCall[], manager: EntityManager) => unknown };

export interface OperationDefinition {
  readonly name: string;
  readonly payloadSchema: Json;
  readonly checkPayload: PayloadCheck;
  readonly prepare: BoundHandler;
  readonly commit: BoundHandler;
  readonly abort: BoundHandler;
  readonly lock: Extract<BoundHandler, { batch: true }> | null;
}

export type ParticipantDefinition = ReadonlyMap<string, OperationDefinition>;

interface Found {
  readonly owner: object;
  readonly declaration: HandlerDeclaration;
}

const REQUIRED = ['prepare', 'commit', 'abort'] as const;
const OPERATION_NAME = /^[A-Za-z][\w.-]{0,99}$/;
const DECORATOR: Readonly<Record<DeclaredAction, string>> = { prepare: '@Prepare or @PrepareMany', commit: '@Commit or @CommitMany', abort: '@Abort or @AbortMany', lock: '@LockMany' };

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
  return [...definition.values()].map(({ name, payloadSchema }) => ({ name, payloadSchema }));
}

function ownDeclarations(name: string, owner: object): readonly HandlerDeclaration[] {
  const declarations = declarationsOf(owner.constructor);
  if (declarations.length === 0) throw new ParticipantDefinitionError('NO_HANDLERS', `${owner.constructor.name} is a @Participant('${name}') without handlers; it takes methods with ${REQUIRED.map((action) => DECORATOR[action]).join(', ')}`);
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
  for (const action of REQUIRED) {
    if (!found.has(action)) throw new ParticipantDefinitionError('MISSING_HANDLER', `operation '${name}' of ${classNames(found)} has no ${action} handler; add a method with ${DECORATOR[action]}('${name}')`);
  }
  const lock = found.get('lock');
  const { schema } = found.get('prepare')!.declaration;
  return {
    name,
    payloadSchema: schema as Json,
    checkPayload: compile(name, found.get('prepare')!),
    prepare: bind(found.get('prepare')!),
    commit: bind(found.get('commit')!),
    abort: bind(found.get('abort')!),
    lock: lock === undefined ? null : (bind(lock) as Extract<BoundHandler, { batch: true }>),
  };
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
  return { batch: declaration.batch, call } as BoundHandler;
}

function place(owner: object, declaration: HandlerDeclaration): string {
  return `${owner.constructor.name}.${declaration.method}`;
}

function classNames(found: ReadonlyMap<DeclaredAction, Found>): string {
  return [...new Set([...found.values()].map(({ owner }) => owner.constructor.name))].join(', ');
}
