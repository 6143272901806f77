import type { Transport } from '#libs/runtime';
import type { CoordinatorConfig } from '../config.js';
import type { Pools } from '../tokens.js';

/** What the coordinator's parts are made from. */
export interface Resources {
  readonly config: CoordinatorConfig;
  readonly pools: Pools;
  readonly transport: Transport;
}
