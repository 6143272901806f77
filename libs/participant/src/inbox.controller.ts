import { Controller, Inject } from '@nestjs/common';
import { EventPattern, Payload } from '@nestjs/microservices';
import { InboxPattern } from '#libs/kafka';
import type { InboundBatch } from '#libs/runtime';
import { ParticipantHost } from './participant-host.js';

/** Where Nest hands over what the inbox strategy received. */
@Controller()
export class InboxController {
  constructor(@Inject(ParticipantHost) private readonly host: ParticipantHost) {}

  @EventPattern(InboxPattern.ASSIGNED)
  assigned(@Payload() partitions: readonly number[]): Promise<void> {
    return this.host.assigned(partitions);
  }

  @EventPattern(InboxPattern.BATCH)
  deliver(@Payload() batch: InboundBatch): Promise<void> {
    return this.host.deliver(batch);
  }
}
