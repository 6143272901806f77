import { createHash } from 'node:crypto';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { findMaven, JAVA_HINT } from './java.ts';
import { identityOf } from './process-identity.ts';
import { withProgress } from './progress.ts';
import { runCommand } from './run-command.ts';
import { SetupError } from './setup-error.ts';

const POM = fileURLToPath(new URL('./kafka-pom.xml', import.meta.url));
const COPY_DEPENDENCIES = 'org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies';

/** Shared by every data folder of this checkout, so that tests and the start fetch it once; the name follows the pom's content. */
export function kafkaJarsDir(): string {
  const version = createHash('sha256').update(fs.readFileSync(POM)).digest('hex').slice(0, 12);
  return fileURLToPath(new URL(`../../.concordat/cache/kafka-${version}`, import.meta.url));
}

/**
 * The folder with the broker's jars; Maven fetches them (43 MB) when they are not there yet.
 * @throws SetupError MAVEN_MISSING, KAFKA_DOWNLOAD_FAILED
 */
export async function kafkaJars(log: (line: string) => void): Promise<string> {
  const dir = kafkaJarsDir();
  if (fs.existsSync(dir)) return dir;
  const maven = findMaven();
  if (!maven.ok) throw new SetupError('MAVEN_MISSING', `${maven.problem}, which fetches Apache Kafka at the first start: install it (${JAVA_HINT}), or set KAFKA_BROKERS to a running cluster.`);
  removeAbandonedDrafts(dir);
  const draft = `${dir}.draft-${process.pid}`;
  fs.mkdirSync(draft, { recursive: true });
  await withProgress('Kafka: Maven is fetching Apache Kafka 4.1 (43 MB, once)', log, () => runMaven(maven.value, draft));
  publish(draft, dir);
  return dir;
}

async function runMaven(maven: string, outputDirectory: string): Promise<void> {
  const { code, output } = await runCommand(maven, ['-q', '-B', '-f', POM, COPY_DEPENDENCIES, '-DincludeScope=runtime', `-DoutputDirectory=${outputDirectory}`, ...localRepository()]);
  if (code === 0 && fs.readdirSync(outputDirectory).some((name) => name.startsWith('kafka_'))) return;
  fs.rmSync(outputDirectory, { recursive: true, force: true });
  const cause = output.split('\n').find((line) => line.includes('ERROR'))?.replace(/^.*?ERROR\]?\s*/, '').slice(0, 400) ?? `exit code ${code}`;
  throw new SetupError('KAFKA_DOWNLOAD_FAILED', `Maven could not fetch Apache Kafka (${cause}): check the network and ~/.m2/settings.xml, or set KAFKA_BROKERS to a running cluster.`);
}

/** Maven keeps what it fetched in the home folder; an account without a writable one gets a place in the cache. */
function localRepository(): readonly string[] {
  const { homedir } = os.userInfo();
  try {
    const usual = path.join(homedir, '.m2');
    fs.accessSync(fs.existsSync(usual) ? usual : homedir, fs.constants.W_OK);
    return [];
  } catch {
    return [`-Dmaven.repo.local=${path.join(path.dirname(kafkaJarsDir()), 'maven')}`];
  }
}

/** What an interrupted fetch left; the name holds the pid of who fetched. */
function removeAbandonedDrafts(dir: string): void {
  const parent = path.dirname(dir);
  if (!fs.existsSync(parent)) return;
  for (const name of fs.readdirSync(parent)) {
    const pid = /\.draft-(\d+)$/.exec(name)?.[1];
    if (pid !== undefined && identityOf(Number(pid)) === null) fs.rmSync(path.join(parent, name), { recursive: true, force: true });
  }
}

/** All at once under the final name; of two who fetched at the same time the second finds it done. */
function publish(draft: string, dir: string): void {
  try {
    fs.renameSync(draft, dir);
  } catch (error) {
    if (!fs.existsSync(dir)) throw error;
    fs.rmSync(draft, { recursive: true, force: true });
  }
}
