import type { Settings } from '../../connection/options.js';
import type { GroupMember, KafkaClient, MemberEvents, MemberOptions, RecordWriter } from '../client.js';
import { Cluster } from './cluster.js';
import { PlatformaticMember } from './group-member.js';
import { PlatformaticWriter } from './record-writer.js';

/**
 * Over the requests and connections of @platformatic/kafka (2.12), not its producer and consumer: these validate every record,
 * cannot pause a single partition, and tell of a rebalance only when it is too late to save offsets. Needs Kafka 3.0 or later.
 */
export class PlatformaticClient implements KafkaClient {
  private readonly cluster: Cluster;

  constructor(private readonly settings: Settings) {
    this.cluster = new Cluster(settings);
  }

  writer(): RecordWriter {
    return new PlatformaticWriter(this.cluster, this.settings.requestTimeoutMs);
  }

  member(options: MemberOptions, events: MemberEvents): GroupMember {
    return new PlatformaticMember(this.cluster, options, events, this.settings);
  }
}
