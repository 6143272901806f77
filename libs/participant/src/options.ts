import type { SiteConfig, Transport } from '#libs/runtime';
import type { DataSource } from 'typeorm';

/** Injection token of ParticipantOptions. */
export const PARTICIPANT_OPTIONS = Symbol('PARTICIPANT_OPTIONS');
/** Injection token of the DataSource that holds the SDK's tables. */
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
  /** Database of the SDK's tables and of the handlers' own. Default: the one of TypeOrmModule.forRoot. */
  readonly dataSource?: DataSource;
  /** Local transactions in flight at once. Default 1. */
  readonly lanes?: number;
  /** How long it waits, in each protocol, before it does something about being in doubt. Default: DEFAULT_SITE_CONFIG. */
  readonly site?: Partial<Omit<SiteConfig, 'name'>>;
  /** Default 10,000. */
  readonly announceEveryMs?: number;
  /** The site hosts an acceptor and has no operations: no provider needs to be decorated. Default false. */
  readonly acceptorOnly?: boolean;
}
