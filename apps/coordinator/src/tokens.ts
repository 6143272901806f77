import type { Pool, ShardInfo } from '#libs/postgres';
import type { Alerts } from './alert/alerts.js';

/** Injection token of the CoordinatorConfig. */
export const CONFIG = Symbol('CONFIG');

/** Injection token of a ShardList. */
export const SHARD_LIST = Symbol('SHARD_LIST');

/** All shards that were ever owned, as the database knows them, in order. */
export type ShardList = () => Promise<readonly ShardInfo[]>;

/** Injection token of the Alerts; null when there is no webhook. */
export const ALERTS = Symbol('ALERTS');

export type MaybeAlerts = Alerts | null;

/** The connections of one coordinator. */
export interface Pools {
  /** For the driver's flushes and recovery: nobody's question may take a connection from them. */
  readonly write: Pool;
  /** For what people and other programs ask. Its statements are short. */
  readonly read: Pool;
}
