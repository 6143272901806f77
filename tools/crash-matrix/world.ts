import fs from 'node:fs';
import path from 'node:path';
import type { Txid } from '#libs/protocol';
import { Cluster, type ClusterOptions, type ServiceProcess } from '../../test/support/cluster.ts';
import type { ProtocolName } from '../../libs/protocol/src/messages.ts';
import type { Sighting } from './plan.ts';
import { quiet } from './quiet.ts';
import { SCENARIOS } from './scenarios.ts';
import type { Scenario } from './stage.ts';
import { type Outcome, Traffic } from './traffic.ts';

/** A dead member is found out after the shortest time that the broker allows, and who is in doubt asks soon. */
const TIGHT = {
  KAFKA_SESSION_TIMEOUT_MS: '1000', KAFKA_HEARTBEAT_MS: '200', COORDINATOR_SHARDS: '4', PARTICIPANT_PARTITIONS: '4',
  INQUIRE_AFTER_MS: '100', RESOLVE_AFTER_MS: '1000', PAXOS_REPEAT_AFTER_MS: '500', STAGGER_MS: '100',
};
const QUIET_MS = 20_000;
/** Offsets are saved every second. */
const OFFSETS_MS = 1_200;

/** A cluster, what its clients have been told so far, and whether all its coordinators run. */
export class World {
  readonly cluster: Cluster;
  readonly answers = new Map<Txid, Outcome>();
  private readonly folder: string;

  private constructor(cluster: Cluster, folder: string) {
    this.cluster = cluster;
    this.folder = folder;
  }

  /** Two coordinators, of which the second is stopped until it is wanted. */
  static async start(options: Pick<ClusterOptions, 'adminUrl' | 'brokers' | 'records'>, folder: string, env: Readonly<Record<string, string>> = {}): Promise<World> {
    const cluster = await Cluster.start({ ...options, coordinators: 2, crashPoints: true, ...witness(env) });
    const world = new World(cluster, folder);
    await world.spare.stop();
    return world;
  }

  get coordinator(): ServiceProcess {
    return this.cluster.coordinators[0]!;
  }

  get spare(): ServiceProcess {
    return this.cluster.coordinators[1]!;
  }

  process(instance: string): ServiceProcess {
    const found = this.cluster.processes().find((p) => p.instance === instance);
    if (found === undefined) throw new Error(`there is no process ${instance}`);
    return found;
  }

  /** Everybody runs but the spare coordinator, which runs if it is wanted. */
  async ready(withSpare: boolean): Promise<void> {
    if (!withSpare && this.spare.alive) await this.spare.stop();
    const wanted = this.cluster.processes().filter((p) => p !== this.spare || withSpare);
    for (const process of wanted) {
      process.disarm();
      process.resume();
      if (!process.alive) process.spawn();
    }
    await Promise.all(wanted.map((process) => process.ready()));
  }

  /** Plays a scenario once, to see which crash points it comes by. */
  async explore(protocol: ProtocolName, scenario: Scenario): Promise<readonly Sighting[]> {
    const processes = this.cluster.processes().filter((p) => p.alive);
    const fileOf = (process: ServiceProcess): string => path.join(this.folder, `${protocol} ${scenario.name} ${process.instance}`.replaceAll(/[^a-z0-9-]+/g, '_'));
    for (const process of processes) process.arm(`record:${fileOf(process)}`);
    // Epochs are raised and announcements are sent at a start.
    if (scenario === SCENARIOS[0]) for (const process of processes) await process.restart();
    const traffic = new Traffic(this.cluster, [this.coordinator.url]);
    try {
      await scenario.play({ cluster: this.cluster, protocol, traffic });
      if (!(await traffic.settled(QUIET_MS)) || !(await quiet(this.cluster, QUIET_MS))) throw new Error(`${protocol}, ${scenario.name}: does not end even without a crash`);
      if (traffic.complaints.length > 0) throw new Error(`${protocol}, ${scenario.name}: ${traffic.complaints.join('; ')}`);
      await new Promise((resolve) => setTimeout(resolve, OFFSETS_MS));
      this.remember(traffic);
    } finally {
      await traffic.close();
      for (const process of processes) process.disarm();
    }
    return processes.map((process) => ({ protocol, scenario: scenario.name, process: process.instance, points: linesOf(fileOf(process)) }));
  }

  remember(traffic: Traffic): void {
    for (const [txid, outcome] of traffic.answers) this.answers.set(txid, outcome);
  }

  /** At once: nothing in it is needed any more. */
  async end(): Promise<void> {
    await this.cluster.stop(true);
  }
}

/** Where there is an app for it, one of the three acceptors is a site of its own; the first, because the last is idle while nothing fails. */
function witness(env: Readonly<Record<string, string>>): Pick<ClusterOptions, 'acceptors' | 'env'> {
  if (!fs.existsSync('dist/apps/acceptor')) return { env: { ...TIGHT, ...env } };
  return { acceptors: ['witness'], env: { ...TIGHT, ACCEPTORS: 'witness,orders,payments', ...env } };
}

function linesOf(file: string): readonly string[] {
  if (!fs.existsSync(file)) return [];
  return [...new Set(fs.readFileSync(file, 'utf8').split('\n').filter((line) => line !== ''))];
}
