import { spawn, type SpawnOptions } from 'node:child_process';

export interface CommandResult {
  /** Null when a signal ended it. */
  readonly code: number | null;
  /** stdout and stderr as they came, the last 200,000 characters. */
  readonly output: string;
}

/** Runs a command to its end; it is ended with this process. @throws the system's error when it cannot be started */
export async function runCommand(command: string, args: readonly string[], options: Pick<SpawnOptions, 'cwd' | 'env' | 'uid' | 'gid'> & { readonly onOutput?: (text: string) => void } = {}): Promise<CommandResult> {
  const { onOutput, ...spawnOptions } = options;
  const child = spawn(command, args, { ...spawnOptions, stdio: ['ignore', 'pipe', 'pipe'] });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => {
      output = (output + text).slice(-200_000);
      onOutput?.(text);
    });
  }
  const kill = (): void => void child.kill('SIGKILL');
  process.once('exit', kill);
  try {
    const code = await new Promise<number | null>((resolve, reject) => { child.once('error', reject).once('close', resolve); });
    return { code, output };
  } finally {
    process.off('exit', kill);
  }
}
