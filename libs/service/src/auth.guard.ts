import { applyDecorators, type CanActivate, createParamDecorator, type ExecutionContext, SetMetadata } from '@nestjs/common';
import { ApiBearerAuth } from '@nestjs/swagger';
import type { FastifyRequest } from 'fastify';
import type { Authenticator } from './authenticator.js';
import { ApiProblems } from './openapi.js';
import type { Principal, RoleName } from './principal.js';
import { ProblemException } from './problem.js';

const ROLE = 'concordat:role';
type Needed = RoleName | 'public';

/** The role that a controller or handler needs. Without it (and without `@Public`) a route needs `operate`. */
export const Role = (role: RoleName): ClassDecorator & MethodDecorator => applyDecorators(
  SetMetadata(ROLE, role), ApiBearerAuth(), ApiProblems({ 401: 'There is no token, or it is not valid', 403: `The token has not the role ${role}` }),
);
/** Open to everybody. */
export const Public = (): ClassDecorator & MethodDecorator => SetMetadata(ROLE, 'public');

/** The caller, as a handler's parameter. */
export const Caller = createParamDecorator((_data: unknown, context: ExecutionContext): Principal => principalOf(context.switchToHttp().getRequest<FastifyRequest>()));

const principals = new WeakMap<object, Principal>();

function principalOf(request: FastifyRequest): Principal {
  return principals.get(request) ?? { subject: 'anonymous', roles: new Set() };
}

/** Answers 401 without a valid token and 403 without the role. */
export class AuthGuard implements CanActivate {
  private readonly needed = new WeakMap<object, Needed>();

  constructor(private readonly authenticator: Authenticator) {}

  canActivate(context: ExecutionContext): boolean | Promise<boolean> {
    const needed = this.neededFor(context);
    return needed === 'public' || this.admit(context.switchToHttp().getRequest<FastifyRequest>(), needed);
  }

  /** @throws ProblemException 401 or 403, at once or as a rejection */
  admit(request: FastifyRequest, needed: RoleName): boolean | Promise<boolean> {
    const principal = this.authenticator.authenticate(request.headers.authorization);
    return principal instanceof Promise ? principal.then((found) => admit(request, found, needed)) : admit(request, principal, needed);
  }

  private neededFor(context: ExecutionContext): Needed {
    const handler = context.getHandler();
    let needed = this.needed.get(handler);
    if (needed === undefined) {
      needed = (Reflect.getMetadata(ROLE, handler) ?? Reflect.getMetadata(ROLE, context.getClass()) ?? 'operate') as Needed;
      this.needed.set(handler, needed);
    }
    return needed;
  }
}

function admit(request: FastifyRequest, principal: Principal | null, role: RoleName): true {
  const given = request.headers.authorization !== undefined;
  authorize(principal, role, given);
  principals.set(request, principal);
  return true;
}

/** @throws ProblemException 401 or 403 @param given whether the request carried an `Authorization` header */
export function authorize(principal: Principal | null, role: RoleName, given: boolean): asserts principal is Principal {
  if (principal === null) {
    const challenge = `Bearer realm="concordat"${given ? ', error="invalid_token"' : ''}`;
    throw new ProblemException(401, 'UNAUTHENTICATED', given ? 'The token is not valid.' : 'A token is needed: send "Authorization: Bearer <token>".', [], undefined, { headers: { 'www-authenticate': challenge } });
  }
  if (!principal.roles.has(role)) {
    throw new ProblemException(403, 'FORBIDDEN', `This needs a token of role ${role}.`, [], undefined, { headers: { 'www-authenticate': `Bearer realm="concordat", error="insufficient_scope", scope="${role}"` } });
  }
}
