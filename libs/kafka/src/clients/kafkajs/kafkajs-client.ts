import type { Kafka } from 'kafkajs';
import type { TransportLogger } from '../../logger.js';
import type { GroupMember, KafkaClient, MemberEvents, MemberOptions, RecordWriter } from '../client.js';
import { KafkajsMember } from './group-member.js';
import { KafkajsWriter } from './record-writer.js';

export class KafkajsClient implements KafkaClient {
  constructor(private readonly kafka: Kafka, private readonly logger: TransportLogger) {}

  writer(): RecordWriter {
    return new KafkajsWriter(this.kafka);
  }

  member(options: MemberOptions, events: MemberEvents): GroupMember {
    return new KafkajsMember(this.kafka, options, events, this.logger);
  }
}
