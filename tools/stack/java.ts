import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';

export const JAVA_NEEDED = 17;

export interface Java {
  readonly command: string;
  readonly major: number;
  /** The full version text, which names class archives that fit it. */
  readonly version: string;
}

export type Found<T> = { readonly ok: true; readonly value: T } | { readonly ok: false; readonly problem: string };

/** Java of JAVA_HOME, else of the PATH; not ok when there is none or an older one than 17. */
export function findJava(env: NodeJS.ProcessEnv = process.env): Found<Java> {
  const inHome = env.JAVA_HOME ? path.join(env.JAVA_HOME, 'bin', 'java') : '';
  const command = inHome !== '' && fs.existsSync(inHome) ? inHome : 'java';
  const { status, stderr } = spawnSync(command, ['-version'], { encoding: 'utf8', env });
  const version = status === 0 ? /version "([^"]+)"/.exec(stderr)?.[1] : undefined;
  if (version === undefined) return { ok: false, problem: 'Java was not found' };
  const major = Number(/^(?:1\.)?(\d+)/.exec(version)?.[1]);
  if (major < JAVA_NEEDED) return { ok: false, problem: `Java ${version} is too old` };
  return { ok: true, value: { command, major, version } };
}

/** Maven of the PATH. */
export function findMaven(env: NodeJS.ProcessEnv = process.env): Found<string> {
  const { status } = spawnSync('mvn', ['-version'], { stdio: 'ignore', env });
  return status === 0 ? { ok: true, value: 'mvn' } : { ok: false, problem: 'Maven was not found' };
}

/** How to get them on the usual systems. */
export const JAVA_HINT = 'Debian or Ubuntu: apt-get install openjdk-17-jre-headless maven; Fedora: dnf install java-21-openjdk-headless maven; macOS: brew install openjdk maven';
