import type { Announce } from '#libs/protocol';
import type { Outbox } from '../outbox.js';
import type { Clock, CoordinatorStore } from '../ports.js';
import type { Timers } from '../timers.js';
import type { Admission } from './admission.js';
import type { InquiryDesk } from './inquiries.js';
import type { Lingering } from './lingering.js';
import type { Protocols } from './protocols/index.js';
import type { ShardTable } from './shard-table.js';
import type { TransactionTable, Waiters } from './transaction.js';
import type { TxidMaker } from './txid-maker.js';
import type { CoordinatorObserver, CoordinatorOptions, Counters } from './types.js';

/** What the parts of one driver share. */
export interface CoordinatorContext {
  readonly store: CoordinatorStore;
  readonly clock: Clock;
  readonly options: CoordinatorOptions;
  readonly observer: CoordinatorObserver;
  readonly table: TransactionTable;
  readonly waiters: Waiters;
  readonly timers: Timers<string>;
  readonly outbox: Outbox;
  readonly inquiries: InquiryDesk;
  readonly protocols: Protocols;
  readonly admission: Admission;
  readonly lingering: Lingering;
  readonly shards: ShardTable;
  readonly txids: TxidMaker;
  readonly counters: Counters;
  /** Aborted when the driver stops: ends every retry. */
  readonly closing: AbortSignal;
  onAnnounce(messages: readonly Announce[]): Promise<void>;
}
