import path from 'node:path';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
/** Compiled code is kept from one start to the next, which saves a third of a start's work. A new build begins a new cache. */
const CACHE = path.join(ROOT, 'dist', '.compile-cache');
/**
 * Of Node. What belongs to a transaction lives until its decision: with a young generation of 16 MiB most of it is copied, and copied again,
 * on the way; with 32 there are half as many collections. V8 optimises a function after 3,000 calls, and much of this code is called once
 * for a whole batch: it would run unoptimised for the first thousands of rounds.
 */
export const SERVICE_FLAGS: readonly string[] = ['--enable-source-maps', '--max-semi-space-size=32', '--invocation-count-for-turbofan=100'];

/** How the service of the folder `apps/<app>` is started, from dist/. */
export function serviceCommand(app: string, env: NodeJS.ProcessEnv): { readonly command: string; readonly args: string[]; readonly options: { readonly cwd: string; readonly env: NodeJS.ProcessEnv } } {
  return {
    command: process.execPath,
    args: [...SERVICE_FLAGS, path.join(ROOT, 'dist', 'apps', app, 'src', 'main.js')],
    options: { cwd: ROOT, env: { NODE_COMPILE_CACHE: CACHE, ...env } },
  };
}
