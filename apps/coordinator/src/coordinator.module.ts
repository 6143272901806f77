import { type DynamicModule, Module } from '@nestjs/common';
import { driving } from './composition/driving.js';
import type { Resources } from './composition/resources.js';
import { serving } from './composition/serving.js';
import { storage } from './composition/storage.js';
import { ClusterController } from './http/cluster.controller.js';
import { EventsController } from './http/events.controller.js';
import { LandingController } from './http/landing.controller.js';
import { OperatorController } from './http/operator.controller.js';
import { ReadController } from './http/read.controller.js';
import { SubmitController } from './http/submit.controller.js';
import { InboxController } from './inbox.controller.js';
import { Membership } from './membership.js';
import { CONFIG } from './tokens.js';

/** What the coordinator is made of. */
@Module({})
export class CoordinatorModule {
  static forRoot(resources: Resources): DynamicModule {
    return {
      module: CoordinatorModule,
      // EventsController first: its path is also one of `v1/transactions/:id`.
      controllers: [EventsController, SubmitController, ReadController, OperatorController, ClusterController, LandingController, InboxController],
      providers: [{ provide: CONFIG, useValue: resources.config }, Membership, ...storage(resources), ...driving(resources), ...serving(resources)],
    };
  }
}
