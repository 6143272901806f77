// How long the work of a lost instance waits: real servers, two instances of what is killed, kills, clean stops and starts, an audit at the
// end, then everything removed. Started by takeover.mjs.
import { build } from './build.ts';
import { isSetupError } from './stack/setup-error.ts';
import { untilEnded } from './stack/until-ended.ts';
import { type Cluster, keepLogs, startCluster } from './takeover/cluster.ts';
import { Load } from './takeover/load.ts';
import { optionsFrom, type Role, type TakeoverOptions, USAGE } from './takeover/options.ts';
import { type Report, reportText, type RoleReport } from './takeover/report.ts';
import { instanceOf, joinRound, killRound, restore, stopRound } from './takeover/rounds.ts';
import { eventually } from './takeover/watch.ts';

const AUDIT_LIMIT_MS = 60_000;
const say = (line: string): void => void process.stderr.write(`${line}\n`);

const { ending } = untilEnded();

/** Answers 0 when everything holds, 1 when it does not, 2 for options that it does not take, 130 when stopped from outside. */
async function main(args: readonly string[]): Promise<number> {
  const options = optionsFrom(args);
  if (options === null) {
    process.stdout.write(`${USAGE}\n`);
    return 0;
  }
  await build();
  say('starting PostgreSQL, Kafka and the services ...');
  const env = envOf(options);
  const cluster = await startCluster(options.roles, env, say);
  try {
    const code = await Promise.race([measure(cluster, options, env), ending.then(() => 130)]);
    if (code === 1) say(`the logs of all processes are kept in ${keepLogs(cluster)}`);
    return code;
  } catch (error) {
    say(`the logs of all processes are kept in ${keepLogs(cluster)}`);
    throw error;
  } finally {
    await cluster.stop();
  }
}

async function measure(cluster: Cluster, options: TakeoverOptions, env: Readonly<Record<string, string>>): Promise<number> {
  const { kafkaOptionsFromEnv } = await import('#libs/kafka');
  const { sessionTimeoutMs, heartbeatMs } = kafkaOptionsFromEnv(env);
  const load = await Load.start(cluster, options.rate);
  const roles: RoleReport[] = [];
  for (const role of options.roles) roles.push(await roundsOf(cluster, load, role, options));
  await load.stop();
  const report: Report = { options, sessionTimeoutMs: sessionTimeoutMs!, heartbeatMs: heartbeatMs!, roles, answers: load.answers.size, audit: await audit(cluster, load) };
  process.stdout.write(`${options.json ? JSON.stringify(report, null, 2) : reportText(report)}\n`);
  return report.audit.ok ? 0 : 1;
}

async function roundsOf(cluster: Cluster, load: Load, role: Role, options: TakeoverOptions): Promise<RoleReport> {
  const report = { role, kills: [] as RoleReport['kills'][number][], stops: [] as RoleReport['stops'][number][], joins: [] as RoleReport['joins'][number][] };
  for (let round = 0; round < options.kills; round += 1) {
    const took = await killRound(cluster, load, role, round, options.restartAtOnce);
    say(`${took.instance} killed: detected after ${took.detectedMs} ms, reassigned ${took.reassignedMs}, first decision ${took.firstDecisionMs}, all ${took.unfinished} unfinished decided ${took.allDecidedMs}`);
    report.kills.push(took);
    await restore(cluster, instanceOf(cluster, took.instance));
  }
  for (let round = 0; round < options.stops; round += 1) {
    const took = await stopRound(cluster, load, role, round);
    say(`${took.instance} stopped: noticed after ${took.detectedMs} ms, reassigned ${took.reassignedMs}, first decision ${took.firstDecisionMs}, gone ${took.exitedMs}`);
    report.stops.push(took);
    const joined = await joinRound(cluster, load, instanceOf(cluster, took.instance));
    say(`${joined.instance} joined: rebalance ${joined.rebalanceMs} ms, shares ${joined.shares.join(' + ')}, pause ${joined.pauseMs} ms, slowest client ${joined.clients.slowestMs} ms`);
    report.joins.push(joined);
  }
  return report;
}

/** Until all is at rest; what is broken then is the report. */
async function audit({ pools }: Cluster, load: Load): Promise<Report['audit']> {
  const { checkInvariants } = await import('#libs/postgres');
  let last!: Report['audit'];
  await eventually('all invariants hold', AUDIT_LIMIT_MS, async () => {
    last = await checkInvariants(pools, load.answers);
    return last.ok ? true : null;
  }).catch(() => undefined);
  return last;
}

function envOf({ sessionTimeoutMs, heartbeatMs }: TakeoverOptions): Readonly<Record<string, string>> {
  return {
    ...(sessionTimeoutMs === null ? {} : { KAFKA_SESSION_TIMEOUT_MS: String(sessionTimeoutMs) }),
    ...(heartbeatMs === null ? {} : { KAFKA_HEARTBEAT_MS: String(heartbeatMs) }),
  };
}

main(process.argv.slice(2)).then((code) => process.exit(code), (error: unknown) => {
  say(`concordat: ${isSetupError(error) ? error.message : (error as Error).stack}`);
  process.exit(isSetupError(error) && error.code === 'INVALID_CONFIGURATION' ? 2 : 1);
});
