import { Controller, Get, Inject } from '@nestjs/common';
import { ApiOkResponse, ApiOperation, ApiTags } from '@nestjs/swagger';
import { CoordinatorDriver } from '#libs/runtime';
import { Role } from '#libs/service';
import type { CoordinatorConfig } from '../config.js';
import { Housekeeping } from '../housekeeping.js';
import { CoordinatorMetrics } from '../metrics/coordinator-metrics.js';
import { OpenCounts } from '../metrics/open-counts.js';
import { ParticipantDirectory } from '../submit/participant-directory.js';
import { CONFIG, SHARD_LIST, type ShardList } from '../tokens.js';
import { PARTICIPANTS_SCHEMA, SHARDS_SCHEMA, STATS_SCHEMA } from './api-schemas.js';
import { participantJson, shardJson } from './cluster-json.js';

@ApiTags('cluster')
@Role('read')
@Controller('v1')
export class ClusterController {
  constructor(
    @Inject(CoordinatorDriver) private readonly driver: CoordinatorDriver,
    @Inject(ParticipantDirectory) private readonly directory: ParticipantDirectory,
    @Inject(SHARD_LIST) private readonly shardList: ShardList,
    @Inject(CONFIG) private readonly config: CoordinatorConfig,
    @Inject(CoordinatorMetrics) private readonly metrics: CoordinatorMetrics,
    @Inject(OpenCounts) private readonly open: OpenCounts,
    @Inject(Housekeeping) private readonly housekeeping: Housekeeping,
  ) {}

  @Get('participants')
  @ApiOperation({ summary: 'Participants with operations, payload schemas and instances' })
  @ApiOkResponse({ schema: PARTICIPANTS_SCHEMA })
  async participants(): Promise<unknown> {
    await this.directory.refresh();
    return { participants: this.directory.list().map(participantJson) };
  }

  @Get('shards')
  @ApiOperation({ summary: 'All shards and who owns them' })
  @ApiOkResponse({ schema: SHARDS_SCHEMA })
  async shards(): Promise<unknown> {
    const own = new Map(this.driver.shards().map((shard) => [shard.shard, shard]));
    return { shards: (await this.shardList()).map((stored) => shardJson(stored, own.get(stored.shard))) };
  }

  @Get('stats')
  @ApiOperation({ summary: 'Counters of the instance that answers, since its start, and what is open in its shards' })
  @ApiOkResponse({ schema: STATS_SCHEMA })
  async stats(): Promise<unknown> {
    const open = await this.open.read();
    return {
      instance: this.config.instance,
      uptimeSeconds: Math.floor(process.uptime()),
      maxInFlight: this.config.maxInFlight,
      maxInFlightPerParticipant: this.config.maxInFlightPerParticipant,
      shardsOwned: this.driver.shards().length,
      ...this.driver.stats(),
      byProtocol: this.metrics.counts.json(),
      open: open === null ? null : Object.fromEntries([...open].map(([protocol, { oldestUndecidedMs, ...counts }]) => [protocol, { ...counts, oldestUndecidedSeconds: oldestUndecidedMs / 1000 }])),
      housekeeping: this.housekeeping.last,
    };
  }
}
