import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';

/**
 * Runs a command whose descendants all end with it. Output goes to this process's. Answers the exit code, null when it could not be started
 * or a signal ended it.
 */
export async function runInGroup(command: string, args: readonly string[], env: NodeJS.ProcessEnv): Promise<number | null> {
  const main = fileURLToPath(new URL('./group-main.ts', import.meta.url));
  const leader = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', main, command, ...args], { detached: true, env, stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
  let code: number | null = null;
  leader.on('message', (message: { code: number | null }) => { code = message.code; });
  await new Promise<void>((resolve, reject) => { leader.once('error', reject).once('exit', () => resolve()); });
  return code;
}
