import { applyDecorators } from '@nestjs/common';
import { type NestFastifyApplication, RouteConfig } from '@nestjs/platform-fastify';
import type { FastifyReply, FastifyRequest, RouteOptions } from 'fastify';
import { type AuthGuard, Role } from './auth.guard.js';
import type { RoleName } from './principal.js';
import type { ProblemFilter } from './problem-filter.js';

interface DirectRoute {
  readonly controller: new (...args: never[]) => object;
  readonly method: string;
  readonly role: RoleName;
}

/** A method marked by `@Direct`: it answers by `reply`. */
type DirectMethod = (request: FastifyRequest, reply: FastifyReply) => Promise<void>;

/**
 * For the busiest routes: Fastify calls the method with its request and reply, past Nest's parameters, pipes and interceptors, which take
 * longer than such a method does. The role it needs, how its errors are answered and how it is documented are those of any other.
 */
export const Direct = (role: RoleName): MethodDecorator => (target, method, descriptor) => {
  const route: DirectRoute = { controller: target.constructor as DirectRoute['controller'], method: String(method), role };
  applyDecorators(Role(role), RouteConfig({ direct: route }))(target, method, descriptor);
};

interface Surroundings {
  /** The application, which exists by the time of its first request. */
  readonly app: () => Pick<NestFastifyApplication, 'get'>;
  /** Null where every route is open. */
  readonly guard: AuthGuard | null;
  readonly filter: ProblemFilter;
}

/** Gives the route that a `@Direct` method is registered for its handler. */
export function serveDirectly(route: RouteOptions, { app, guard, filter }: Surroundings): void {
  const { direct } = (route.config ?? {}) as { readonly direct?: DirectRoute };
  if (direct === undefined) return;
  const { controller, method, role } = direct;
  let target: Record<string, DirectMethod> | undefined;
  const serve = async (request: FastifyRequest, reply: FastifyReply): Promise<void> => {
    try {
      const admitted = guard?.admit(request, role);
      if (admitted instanceof Promise) await admitted;
      target ??= app().get<Record<string, DirectMethod>>(controller);
      await target[method]!(request, reply);
    } catch (error) {
      filter.answer(error, request, reply);
    }
  };
  route.handler = (request, reply) => { void serve(request, reply); };
}
