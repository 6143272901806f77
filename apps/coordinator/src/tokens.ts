import type { ShardInfo } from '#libs/postgres';

/** Injection token of the CoordinatorConfig. */
export const CONFIG = Symbol('CONFIG');

/** Injection token of a ShardList. */
export const SHARD_LIST = Symbol('SHARD_LIST');

/** All shards that were ever owned, as the database knows them, in order. */
export type ShardList = () => Promise<readonly ShardInfo[]>;
