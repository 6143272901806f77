import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { openDataDir } from '../stack/data-dir.ts';
import { startKafka } from '../stack/kafka.ts';
import { startPostgres } from '../stack/postgres.ts';
import { type CellResult, runCell } from './cell.ts';
import type { ProtocolName } from '../../libs/protocol/src/messages.ts';
import type { MatrixOptions } from './options.ts';
import { type Cell, type Plan, planCells, type Sighting } from './plan.ts';
import { describeCell, renderReport, reportOf } from './report.ts';
import { SCENARIOS } from './scenarios.ts';
import { World } from './world.ts';

export interface Console {
  /** Progress. */
  say(line: string): void;
  /** Results. */
  print(text: string): void;
  /** Resolves when the run is to be stopped. */
  readonly ending: Promise<void>;
}

type Servers = Parameters<typeof World.start>[0];

/** Answers the exit code: 1 when a cell broke an invariant or did not end, 130 when stopped from outside. */
export async function runMatrix(options: MatrixOptions, console: Console): Promise<number> {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'concordat-crash-matrix-'));
  const dataDir = await openDataDir(folder, console.say);
  const cleanup: (() => Promise<unknown>)[] = [async () => { await dataDir.close(); fs.rmSync(folder, { recursive: true, force: true }); }];
  try {
    return await Promise.race([matrix(), console.ending.then(() => 130)]);
  } finally {
    while (cleanup.length > 0) await cleanup.pop()!();
  }

  async function matrix(): Promise<number> {
    console.say('starting PostgreSQL, Kafka and the services ...');
    const postgres = await startPostgres(dataDir, { log: console.say });
    cleanup.push(() => postgres.stop());
    const kafka = await startKafka(dataDir, { log: console.say });
    cleanup.push(() => kafka.stop());
    const servers: Servers = { adminUrl: postgres.adminUrl, brokers: kafka.brokers, records: dataDir.records };
    const stage = new WorldHolder(servers, folder);
    cleanup.push(() => stage.end());
    const began = Date.now();
    const plan = await discover(stage, options, console);
    if (options.list) {
      console.print([...plan.cells.map(describeCell), `${plan.cells.length} cells`, `In no scenario reached: ${plan.neverReached.join(', ')}`].join('\n'));
      return 0;
    }
    const results = await runCells(stage, plan.cells, console);
    const report = reportOf(results, plan, Date.now() - began);
    if (options.json !== null) fs.writeFileSync(options.json, `${JSON.stringify(report, null, 1)}\n`);
    console.print(`\n${renderReport(report)}`);
    return report.counts.violated + report.counts['did not end'] + report.unlisted.length > 0 ? 1 : 0;
  }
}

/** The world of the cells; a new one when the last cell left something wrong in it. */
class WorldHolder {
  private readonly servers: Servers;
  private readonly folder: string;
  private world: World | null = null;

  constructor(servers: Servers, folder: string) {
    this.servers = servers;
    this.folder = folder;
  }

  async get(): Promise<World> {
    return (this.world ??= await World.start(this.servers, this.folder));
  }

  async end(): Promise<void> {
    const { world } = this;
    this.world = null;
    await world?.end();
  }
}

async function discover(stage: WorldHolder, options: MatrixOptions, { say }: Console): Promise<Plan> {
  const began = Date.now();
  const sightings: Sighting[] = [];
  const world = await stage.get();
  const protocols: ProtocolName[] = [];
  for (const protocol of options.protocols) {
    for (const scenario of SCENARIOS.filter((one) => one.protocols.includes(protocol))) {
      sightings.push(...(await world.explore(protocol, scenario)));
    }
    protocols.push(protocol);
  }
  const plan = planCells(sightings, { ...options, protocols });
  say(`${new Set(sightings.flatMap(({ points }) => points)).size} crash points found in ${((Date.now() - began) / 1000).toFixed(1)} s; ${plan.cells.length} cells`);
  return plan;
}

async function runCells(stage: WorldHolder, cells: readonly Cell[], { say }: Console): Promise<readonly CellResult[]> {
  const results: CellResult[] = [];
  for (const [i, cell] of cells.entries()) {
    const result = await runOne(stage, cell);
    results.push(result);
    say(`${String(i + 1).padStart(4)}/${cells.length} ${result.verdict.padEnd(11)} ${describeCell(cell)} ${(result.ms / 1000).toFixed(1)} s${result.detail === '' ? '' : `\n          ${result.detail}`}`);
    if (result.verdict === 'violated' || result.verdict === 'did not end') await stage.end();
  }
  return results;
}

async function runOne(stage: WorldHolder, cell: Cell): Promise<CellResult> {
  const began = Date.now();
  try {
    return await runCell(await stage.get(), cell);
  } catch (error) {
    return { cell, verdict: 'did not end', detail: (error as Error).message, transactions: 0, ms: Date.now() - began, recoveredMs: null };
  }
}
