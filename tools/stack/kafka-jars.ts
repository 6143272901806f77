import { createHash } from 'node:crypto';
import fs from 'node:fs';
import { fileURLToPath } from 'node:url';
import { findMaven, JAVA_HINT } from './java.ts';
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

export function haveKafkaJars(): boolean {
  return fs.existsSync(kafkaJarsDir());
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
  const draft = `${dir}.draft-${process.pid}`;
  fs.rmSync(draft, { recursive: true, force: true });
  fs.mkdirSync(draft, { recursive: true });
  await withProgress('Kafka: Maven is fetching Apache Kafka 4.1 (43 MB, once)', log, () => runMaven(maven.value, draft));
  publish(draft, dir);
  return dir;
}

async function runMaven(maven: string, outputDirectory: string): Promise<void> {
  const { code, output } = await runCommand(maven, ['-q', '-B', '-f', POM, COPY_DEPENDENCIES, '-DincludeScope=runtime', `-DoutputDirectory=${outputDirectory}`]);
  if (code === 0 && fs.readdirSync(outputDirectory).some((name) => name.startsWith('kafka_'))) return;
  fs.rmSync(outputDirectory, { recursive: true, force: true });
  const cause = output.split('\n').find((line) => line.includes('ERROR'))?.replace(/^.*?ERROR\]?\s*/, '').slice(0, 400) ?? `exit code ${code}`;
  throw new SetupError('KAFKA_DOWNLOAD_FAILED', `Maven could not fetch Apache Kafka (${cause}): check the network and ~/.m2/settings.xml, or set KAFKA_BROKERS to a running cluster.`);
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
