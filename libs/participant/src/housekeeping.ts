import { checkRetention, createPool, Housekeeper, type Pool } from '#libs/postgres';
import { ConfigError, HousekeepingWatch, type Logger, type Registry } from '#libs/service';
import type { AppSettings, BranchRetention, InboxRetention } from './app-settings.js';

const HOUR_MS = 3_600_000;
/** As long as a saga may run at most: its last EXECUTE may be that much younger than its txid, which rows are kept by. */
const LATEST_MESSAGE_MS = 24 * HOUR_MS;
/** By how much the clocks of two processes may differ. */
const CLOCK_MARGIN_MS = 300_000;

/**
 * For transactions older than this the machines take a missing row for one that has been cleaned up. Less than the time for which rows are
 * kept, so that they are careful before the first row goes.
 */
export function rowsKeptMs({ hours }: BranchRetention): number {
  const keepMs = hours * HOUR_MS;
  return keepMs - Math.min(CLOCK_MARGIN_MS, keepMs / 10);
}

/**
 * Rows must outlive the messages that they answer.
 * @param inbox as the cluster has it now; null: nobody can tell
 * @throws ConfigError naming BRANCH_RETENTION_HOURS
 */
export function checkBranchRetention({ hours }: BranchRetention, inbox: InboxRetention | null): void {
  if (inbox === null) return;
  const keepMs = hours * HOUR_MS;
  try {
    checkRetention({ keepMs, marginMs: Math.min(LATEST_MESSAGE_MS, keepMs / 2), topics: [{ ...inbox, retentionMs: Number.isFinite(inbox.retentionMs) ? inbox.retentionMs : -1 }] });
  } catch (error) {
    throw new ConfigError(`BRANCH_RETENTION_HOURS is ${hours}: ${(error as Error).message}`);
  }
}

/** Lets rows of ended branches leave in time. All instances look, one at a time works; over a connection of its own, open only meanwhile. */
export class BranchHousekeeping {
  private readonly pool: Pool;
  private readonly housekeeper: Housekeeper;

  constructor(private readonly settings: AppSettings, registry: Registry, logger: Logger) {
    const { name, databaseUrl, retention: { hours, partitionHours } } = settings;
    const watch = new HousekeepingWatch(registry, logger, {
      contents: 'ended branches', unfinished: 'branches that are old enough to go are in doubt; their partitions stay',
    });
    this.pool = createPool(databaseUrl, { max: 1, applicationName: `concordat-${name}-housekeeping`, onError: (error) => watch.failed(error) });
    this.housekeeper = new Housekeeper(this.pool, {
      role: 'participant', keepMs: hours * HOUR_MS, partitionMs: Math.ceil(partitionHours * HOUR_MS),
      onRun: (report) => watch.ran(report), onError: (error) => watch.failed(error),
    });
  }

  start(): void {
    this.housekeeper.start(this.settings.retention.everyMs);
  }

  /** Resolves when a run that is under way has ended, which it does after its next batch. */
  async stop(): Promise<void> {
    await this.housekeeper.stop();
    await this.pool.end();
  }
}
