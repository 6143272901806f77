import { execFileSync, spawnSync } from 'node:child_process';
import { SetupError } from './setup-error.ts';

export interface Account {
  readonly uid: number;
  readonly gid: number;
}

/** PostgreSQL refuses to run as root: the account it runs as instead, null when this process is not root. `PG_OS_USER` comes first. */
export function unprivilegedAccount(): Account | null {
  if (process.getuid?.() !== 0) return null;
  for (const name of [process.env.PG_OS_USER, 'postgres', 'nobody']) {
    const account = name ? lookUp(name) : null;
    if (account !== null) return account;
  }
  throw new SetupError('NO_UNPRIVILEGED_ACCOUNT', 'PostgreSQL does not run as root and neither the account "postgres" nor "nobody" exists: run as another user, or name an account in PG_OS_USER.');
}

function lookUp(name: string): Account | null {
  try {
    const id = (flag: string): number => Number(execFileSync('id', [flag, name], { stdio: ['ignore', 'pipe', 'ignore'] }));
    const account = { uid: id('-u'), gid: id('-g') };
    return account.uid > 0 ? account : null;
  } catch {
    return null;
  }
}

/** Whether the account can go into the folder; a private home (mode 0700) above it is enough that it cannot. */
export function canEnter(dir: string, account: Account): boolean {
  return spawnSync('/bin/sh', ['-c', 'cd "$1"', 'sh', dir], { ...account, cwd: '/', stdio: 'ignore' }).status === 0;
}

export function canRun(program: string, args: readonly string[], account: Account): boolean {
  return spawnSync(program, args, { ...account, cwd: '/', stdio: 'ignore' }).status === 0;
}
