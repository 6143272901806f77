import { Controller, Get, Inject } from '@nestjs/common';
import { ApiOkResponse, ApiOperation, ApiTags } from '@nestjs/swagger';
import { CoordinatorDriver } from '#libs/runtime';
import { Role } from '#libs/service';
import type { CoordinatorConfig } from '../config.js';
import { ParticipantDirectory } from '../submit/participant-directory.js';
import { CONFIG, SHARD_LIST, type ShardList } from '../tokens.js';
import { PARTICIPANTS_SCHEMA, SHARDS_SCHEMA } from './api-schemas.js';
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
  @ApiOperation({ summary: 'Counters of the instance that answers, since its start' })
  @ApiOkResponse({ schema: { type: 'object', properties: { instance: { type: 'string' }, uptimeSeconds: { type: 'number' }, maxInFlight: { type: 'integer' }, inFlight: { type: 'integer' }, begun: { type: 'integer' }, committed: { type: 'integer' }, aborted: { type: 'integer' }, shardsOwned: { type: 'integer' } } } })
  stats(): unknown {
    return { instance: this.config.instance, uptimeSeconds: Math.floor(process.uptime()), maxInFlight: this.config.maxInFlight, shardsOwned: this.driver.shards().length, ...this.driver.stats() };
  }
}
