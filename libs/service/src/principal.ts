export type RoleName = 'submit' | 'read' | 'operate';

/** Who calls, and what it may do. */
export interface Principal {
  /** `token:operate` for a token of the file, the `sub` claim of a JWT, `anonymous` when authentication is off. */
  readonly subject: string;
  readonly roles: ReadonlySet<RoleName>;
}

/** operate includes the others. */
const INCLUDES: Readonly<Record<RoleName, readonly RoleName[]>> = { submit: ['submit'], read: ['read'], operate: ['submit', 'read', 'operate'] };
export function rolesOf(names: readonly RoleName[]): ReadonlySet<RoleName> {
  return new Set(names.flatMap((name) => INCLUDES[name]));
}
