import { Controller, Inject } from '@nestjs/common';
import { EventPattern, Payload } from '@nestjs/microservices';
import { InboxPattern } from '#libs/kafka';
import { CoordinatorDriver, type InboundBatch } from '#libs/runtime';
import { Membership } from './membership.js';

/** The coordinator's inbox, as the InboxStrategy feeds it. */
@Controller()
export class InboxController {
  constructor(@Inject(CoordinatorDriver) private readonly driver: CoordinatorDriver, @Inject(Membership) private readonly membership: Membership) {}

  @EventPattern(InboxPattern.ASSIGNED)
  async assigned(@Payload() partitions: readonly number[]): Promise<void> {
    await this.driver.assigned(partitions);
    this.membership.joined = true;
  }

  @EventPattern(InboxPattern.BATCH)
  deliver(@Payload() batch: InboundBatch): Promise<void> {
    return this.driver.deliver(batch);
  }
}
