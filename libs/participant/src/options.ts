import type { Transport } from '#libs/runtime';
import type { DataSource } from 'typeorm';

/** Injection token of ParticipantOptions. */
export const PARTICIPANT_OPTIONS = Symbol('PARTICIPANT_OPTIONS');
/** Injection token of the DataSource that holds the branch table. */
export const PARTICIPANT_DATA_SOURCE = Symbol('PARTICIPANT_DATA_SOURCE');

export interface ParticipantModuleOptions {
  /** As transactions name it; 1 to 100 letters, digits, dots, dashes or underscores. */
  readonly name: string;
  /** Of this process, among those of the same name. */
  readonly instance: string;
  /** Of the service's code, for people. Default `0.0.0`. */
  readonly version?: string;
  readonly transport: Transport;
  /** Partitions of this participant's inbox. */
  readonly partitions: number;
  /** Database of the branch table and of the handlers' own tables. Default: the one of TypeOrmModule.forRoot. */
  readonly dataSource?: DataSource;
  /** Local transactions in flight at once. Default 1. */
  readonly lanes?: number;
  /** A branch in doubt asks the coordinator after this. Default 5,000. */
  readonly inquireAfterMs?: number;
  /** Default 30,000, or `inquireAfterMs` if that is more. */
  readonly maxInquireIntervalMs?: number;
  /** After this many unanswered inquiries the other participants are asked too. Default 3. */
  readonly askPeersAfterInquiries?: number;
  /** Default 10,000. */
  readonly announceEveryMs?: number;
}
