import { Injectable } from '@nestjs/common';

/** Whether this instance has joined the coordinators' group and heard which shards are its own. */
@Injectable()
export class Membership {
  joined = false;
}
